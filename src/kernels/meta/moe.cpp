// Shapes only, for the kernels whose reference uses operators that libtorch lacks on meta tensors.

#include "kernels/moe.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "kernels/cross_entropy.h"

namespace temper {
namespace {

RouterScores route(const RouterArgs& args) {
  const int64_t T = args.logits.size(0);
  const Tensor ids = args.expert_ids.defined() ? args.expert_ids : at::empty({T, args.top_k}, args.logits.options().dtype(at::kLong));
  return {ids, at::empty({T, args.top_k}, args.logits.options())};
}

Tensor route_backward(const RouterBackwardArgs& args) { return at::empty_like(args.logits); }

Tensor swiglu(const Tensor& gate_up, const Tensor&, double) { return at::empty({gate_up.size(0), gate_up.size(1) / 2}, gate_up.options()); }

SwigluGrad swiglu_backward(const Tensor&, const Tensor& gate_up, const Tensor& row_weights, double) {
  return {at::empty_like(gate_up), row_weights.defined() ? at::empty_like(row_weights) : Tensor()};
}

std::pair<Tensor, Tensor> target_logprobs(const Tensor& logits, const Tensor& targets) {
  return {at::empty(targets.sizes(), logits.options()), at::empty(targets.sizes(), logits.options())};
}

Tensor target_logprobs_backward(const Tensor&, const Tensor& logits, const Tensor&, const Tensor&, at::ScalarType out_dtype) {
  return at::empty(logits.sizes(), logits.options().dtype(out_dtype));
}

const DeviceKernel<RouteKernel> route_registered{c10::DeviceType::Meta, &route};
const DeviceKernel<RouteBackwardKernel> route_backward_registered{c10::DeviceType::Meta, &route_backward};
const DeviceKernel<SwigluKernel> swiglu_registered{c10::DeviceType::Meta, &swiglu};
const DeviceKernel<SwigluBackwardKernel> swiglu_backward_registered{c10::DeviceType::Meta, &swiglu_backward};
const DeviceKernel<TargetLogprobs> logprobs_registered{c10::DeviceType::Meta, &target_logprobs};
const DeviceKernel<TargetLogprobsBackward> logprobs_backward_registered{c10::DeviceType::Meta, &target_logprobs_backward};

}  // namespace
}  // namespace temper
