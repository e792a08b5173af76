#include "kernels/hyper_connection.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>

#include <tuple>
#include <vector>

#include "kernels/rms_norm.h"

namespace temper::reference {
namespace {

// The three groups of rows and the scale each uses.
struct Part {
  int64_t start, size, scale;
};
std::vector<Part> parts(int64_t M, bool head) {
  if (head) return {{0, M, 0}};
  return {{0, M, 0}, {M, M, 1}, {2 * M, M * M, 2}};
}

}  // namespace

Tensor sinkhorn(const Tensor& logits, int64_t iters, double eps) {
  Tensor m = at::softmax(logits, -1) + eps;
  m = m / (m.sum(-2, /*keepdim=*/true) + eps);
  for (int64_t i = 1; i < iters; ++i) {
    m = m / (m.sum(-1, true) + eps);
    m = m / (m.sum(-2, true) + eps);
  }
  return m;
}

Tensor sinkhorn_backward(const Tensor& grad, const Tensor& logits, int64_t iters, double eps) {
  const Tensor softmax = at::softmax(logits, -1);
  std::vector<Tensor> inputs{softmax + eps};   // input of each normalisation: column, then (row, column) iters - 1 times
  const auto dim = [](size_t step) { return step % 2 == 0 ? -2 : -1; };
  for (size_t step = 0; step + 1 < static_cast<size_t>(2 * iters - 1); ++step)
    inputs.push_back(inputs[step] / (inputs[step].sum(dim(step), true) + eps));
  Tensor d = grad;
  for (size_t step = inputs.size(); step-- > 0;) {
    const Tensor q = inputs[step].sum(dim(step), true) + eps;
    const Tensor y = inputs[step] / q;
    d = (d - (d * y).sum(dim(step), true)) / q;
  }
  return softmax * (d - (d * softmax).sum(-1, true));
}

HcPre hc_pre(const Tensor& streams, const HcTensors& weights, const HcConfig& config, bool head) {
  const int64_t T = streams.size(0), M = config.hc_mult;
  const Tensor x = to_accumulate(streams);                                                             // [T, M, D]
  const Tensor flat = x.flatten(1);                                                                    // [T, M*D]
  const Tensor inv_rms = at::rsqrt(flat.square().mean(-1, true) + config.rms_norm_eps);                // [T, 1]
  const Tensor mix = inv_rms * at::matmul(flat, weights.fn.t());                                       // [T, C]
  const auto affine = [&](int64_t part, int64_t start, int64_t size) {
    return mix.narrow(-1, start, size) * weights.scale[part] + weights.base.narrow(0, start, size);
  };
  const Tensor pre = at::sigmoid(affine(0, 0, M)) + config.hc_eps;                                     // [T, M]
  Tensor coefficients = pre;
  if (!head) {
    const Tensor post = 2 * at::sigmoid(affine(1, M, M));                                              // [T, M] (no eps)
    const Tensor comb = sinkhorn(affine(2, 2 * M, M * M).view({T, M, M}), config.sinkhorn_iters, config.hc_eps);
    coefficients = at::cat({pre, post, comb.flatten(1)}, -1);                                          // [T, C]
  }
  const Tensor y = (pre.unsqueeze(-1) * x).sum(1);                                                     // [T, D]
  return {y.to(streams.scalar_type()), {inv_rms.squeeze(-1), mix, coefficients}};
}

Tensor hc_post(const Tensor& streams, const Tensor& out, const Tensor& coefficients) {
  const int64_t T = streams.size(0), M = streams.size(1);
  const Tensor post = coefficients.narrow(-1, M, M), comb = coefficients.narrow(-1, 2 * M, M * M).view({T, M, M});
  // Stream k receives sum_j comb[j, k] * stream j: comb is applied transposed (docs/deepseek_v4.md).
  const Tensor carried = at::matmul(comb.transpose(-1, -2), to_accumulate(streams));                    // [T, M, D]
  return (carried + post.unsqueeze(-1) * to_accumulate(out).unsqueeze(1)).to(streams.scalar_type());
}

HcPostGrad hc_post_backward(const Tensor& grad_streams, const Tensor& streams, const Tensor& out, const Tensor& coefficients) {
  const int64_t M = streams.size(1);
  const Tensor dy = to_accumulate(grad_streams), x = to_accumulate(streams);                            // [T, M, D]
  const Tensor o = to_accumulate(out);                                                                  // [T, D]
  const Tensor grad_out = (coefficients.narrow(-1, M, M).unsqueeze(-1) * dy).sum(1);                    // [T, D]
  const Tensor grad_post = at::matmul(dy, o.unsqueeze(-1)).squeeze(-1);                                 // [T, M]
  const Tensor grad_comb = at::matmul(x, dy.transpose(-1, -2)).flatten(1);                              // [T, M*M]
  return {grad_out.to(out.scalar_type()), at::cat({at::zeros_like(grad_post), grad_post, grad_comb}, -1)};
}

HcPreGrad hc_pre_backward(const HcPreBackwardArgs& args) {
  const bool head = !args.grad_streams.defined();
  const int64_t T = args.streams.size(0), M = args.streams.size(1), D = args.streams.size(2);
  const Tensor x = to_accumulate(args.streams), dy = to_accumulate(args.grad_y);
  const auto& [inv_rms, mix, coefficients] = args.saved;

  const Tensor grad_pre = at::matmul(x, dy.unsqueeze(-1)).squeeze(-1);                                  // [T, M]
  const Tensor sigma_pre = coefficients.narrow(-1, 0, M) - args.config.hc_eps;
  Tensor grad_logits = grad_pre * sigma_pre * (1 - sigma_pre);                                          // [T, C] at the end
  Tensor grad_x = coefficients.narrow(-1, 0, M).unsqueeze(-1) * dy.unsqueeze(1);                        // [T, M, D]
  if (!head) {
    const Tensor sigma_post = coefficients.narrow(-1, M, M) / 2;
    const Tensor grad_post = args.grad_coefficients.narrow(-1, M, M) * 2 * sigma_post * (1 - sigma_post);
    const Tensor logits = (mix.narrow(-1, 2 * M, M * M) * args.weights.scale[2] + args.weights.base.narrow(0, 2 * M, M * M)).view({T, M, M});
    const Tensor grad_comb = sinkhorn_backward(args.grad_coefficients.narrow(-1, 2 * M, M * M).view({T, M, M}), logits,
                                               args.config.sinkhorn_iters, args.config.hc_eps);
    grad_logits = at::cat({grad_logits, grad_post, grad_comb.flatten(1)}, -1);
    const Tensor comb = coefficients.narrow(-1, 2 * M, M * M).view({T, M, M});
    grad_x = grad_x + at::matmul(comb, to_accumulate(args.grad_streams));
  }

  std::vector<Tensor> grad_mix_parts;
  for (const Part& part : parts(M, head)) grad_mix_parts.push_back(grad_logits.narrow(-1, part.start, part.size) * args.weights.scale[part.scale]);
  const Tensor grad_mix = at::cat(grad_mix_parts, -1);                                                  // [T, C]
  const Tensor rho = inv_rms.unsqueeze(-1);                                                             // [T, 1]
  // m = rho * u with u = fn.x: the norm's own gradient is -(rho^3 / N) (u . dm) x = -(rho^2 / N) (m . dm) x.
  const Tensor shrink = rho * rho * (mix * grad_mix).sum(-1, true) / static_cast<double>(M * D);       // [T, 1]
  const Tensor scaled = rho * grad_mix;                                                                 // [T, C]
  grad_x = grad_x + (at::matmul(scaled, args.weights.fn) - shrink * x.flatten(1)).view({T, M, D});

  HcPreGrad grads{.streams = grad_x.to(args.streams.scalar_type()), .fn = {}, .base = {}, .scale = {}};
  if (args.weight_grads) {
    grads.fn = at::matmul(scaled.t(), x.flatten(1));                                                    // [C, M*D]
    // Long cancelling sums: in double.
    grads.base = grad_logits.to(at::kDouble).sum(0).to(x.scalar_type());
    std::vector<Tensor> scales;
    for (const Part& part : parts(M, head))
      scales.push_back((grad_logits.narrow(-1, part.start, part.size).to(at::kDouble) * mix.narrow(-1, part.start, part.size).to(at::kDouble)).sum().view({1}));
    grads.scale = at::cat(scales).to(x.scalar_type());
  }
  return grads;
}

HcNext hc_next(const HcNextArgs& args) {
  HcNext next{.streams = hc_post(args.streams, args.out, args.coefficients), .pre = {}, .u = {}, .rstd = {}};
  next.pre = hc_pre(next.streams, args.weights, args.config, /*head=*/false);
  std::tie(next.u, next.rstd) = rms_norm(next.pre.y, args.norm, args.config.rms_norm_eps);
  return next;
}

namespace {
const ReferenceKernel<HcPreKernel> pre_registered{&hc_pre};
const ReferenceKernel<HcPostKernel> post_registered{&hc_post};
const ReferenceKernel<HcNextKernel> next_registered{&hc_next};
const ReferenceKernel<HcPostBackwardKernel> post_backward_registered{&hc_post_backward};
const ReferenceKernel<HcPreBackwardKernel> pre_backward_registered{&hc_pre_backward};
}  // namespace

}  // namespace temper::reference
