#include "ops/hyper_connection.h"

namespace temper {
namespace {

HcTensors values(const HyperConnectionWeights& weights) { return {weights.fn.value, weights.base.value, weights.scale.value}; }

void check(const Tensor& streams, const HyperConnectionWeights& weights, const HcConfig& config, bool head) {
  const int64_t M = config.hc_mult, C = head ? M : 2 * M + M * M;
  expect_shape(streams, {-1, M, -1}, "hyper_connection.streams");
  expect_shape(weights.fn.value, {C, M * streams.size(2)}, "hyper_connection.fn");
  expect_shape(weights.base.value, {C}, "hyper_connection.base");
  expect_shape(weights.scale.value, {head ? 1 : 3}, "hyper_connection.scale");
}

Tensor add_grads(const HcPreGrad& grads, const HyperConnectionWeights& weights) {
  if (weights.fn.trained()) weights.fn.grad_sum().add_(grads.fn);
  if (weights.base.trained()) weights.base.grad_sum().add_(grads.base);
  if (weights.scale.trained()) weights.scale.grad_sum().add_(grads.scale);
  return grads.streams;
}

bool any_trained(const HyperConnectionWeights& weights) {
  return weights.fn.trained() || weights.base.trained() || weights.scale.trained();
}

}  // namespace

HcPre hc_pre(const Tensor& streams, const HyperConnectionWeights& weights, const HcConfig& config) {
  check(streams, weights, config, false);
  return kernel<HcPreKernel>(streams)(streams, values(weights), config, /*head=*/false);
}

Tensor hc_post(const Tensor& streams, const Tensor& out, const HcSaved& saved) {
  expect_shape(out, {streams.size(0), streams.size(2)}, "hyper_connection.out");
  return kernel<HcPostKernel>(streams)(streams, out, saved.coefficients);
}

HcNext hc_next(const Tensor& streams, const Tensor& out, const HcSaved& saved, const HyperConnectionWeights& weights, const Weight& norm, const HcConfig& config) {
  check(streams, weights, config, false);
  expect_shape(out, {streams.size(0), streams.size(2)}, "hyper_connection.out");
  expect_shape(norm.value, {streams.size(2)}, "hyper_connection.norm");
  return kernel<HcNextKernel>(streams)({.streams = streams, .out = out, .coefficients = saved.coefficients, .weights = values(weights), .norm = norm.value, .config = config});
}

HcPostGrad hc_post_backward(const Tensor& grad_next, const Tensor& streams, const Tensor& out, const HcSaved& saved) {
  expect_same_shape("hyper_connection.post_backward", {grad_next, streams});
  return kernel<HcPostBackwardKernel>(streams)(grad_next, streams, out, saved.coefficients);
}

Tensor hc_pre_backward(const HcPreBackward& args, const HyperConnectionWeights& weights, const HcConfig& config) {
  check(args.streams, weights, config, false);
  return add_grads(kernel<HcPreBackwardKernel>(args.streams)({.grad_y = args.grad_y,
                                                           .grad_streams = args.grad_next,
                                                           .grad_coefficients = args.grad_coefficients,
                                                           .streams = args.streams,
                                                           .saved = args.saved,
                                                           .weights = values(weights),
                                                           .config = config,
                                                           .weight_grads = any_trained(weights)}),
                   weights);
}

HcPre hc_head(const Tensor& streams, const HyperConnectionWeights& weights, const HcConfig& config) {
  check(streams, weights, config, true);
  return kernel<HcPreKernel>(streams)(streams, values(weights), config, /*head=*/true);
}

Tensor hc_head_backward(const Tensor& grad_y, const Tensor& streams, const HcSaved& saved, const HyperConnectionWeights& weights, const HcConfig& config) {
  check(streams, weights, config, true);
  return add_grads(kernel<HcPreBackwardKernel>(streams)({.grad_y = grad_y,
                                                      .grad_streams = {},
                                                      .grad_coefficients = {},
                                                      .streams = streams,
                                                      .saved = saved,
                                                      .weights = values(weights),
                                                      .config = config,
                                                      .weight_grads = any_trained(weights)}),
                   weights);
}

}  // namespace temper
