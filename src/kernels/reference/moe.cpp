#include "kernels/moe.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "kernels/gather_rows.h"

namespace temper::reference {
namespace {

// Below this, softplus(l) = exp(l) to the last bit of both fp32 and fp64.
constexpr double kExponential = -40;
constexpr double kTiny = 1e-37;   // keeps a token whose scores are all 0 from dividing by 0

struct Halves {
  Tensor gate, up;   // [N, F] accumulate dtype, raw
};
Halves halves(const Tensor& gate_up) {
  const int64_t F = gate_up.size(1) / 2;
  const Tensor x = to_accumulate(gate_up);
  return {x.narrow(1, 0, F), x.narrow(1, F, F)};
}

}  // namespace

Tensor router_scores(const Tensor& logits) {
  const Tensor safe = at::clamp(logits, kExponential);   // keeps 0 * inf out of the gradient of the branch not taken
  return at::where(logits < kExponential, at::exp(logits / 2), at::sqrt(at::softplus(safe, 1, 1e9)));
}

Tensor router_score_slope(const Tensor& logits) {
  const Tensor scores = router_scores(logits);
  const Tensor safe = router_scores(at::clamp(logits, kExponential));
  return at::where(logits < kExponential, scores / 2, at::sigmoid(logits) / (2 * safe));
}

RouterScores route(const RouterArgs& args) {
  const Tensor scores = router_scores(args.logits);                                               // [T, E]
  Tensor ids = args.expert_ids;
  if (!ids.defined()) {
    // A stable descending sort gives ties to the lower index.
    const Tensor choice = args.bias.defined() ? scores.detach() + args.bias.to(scores.scalar_type()) : scores.detach();
    ids = std::get<1>(choice.sort(/*stable=*/true, /*dim=*/-1, /*descending=*/true)).narrow(-1, 0, args.top_k).contiguous();
  }
  const Tensor chosen = scores.gather(-1, ids);                                                   // [T, K]
  return {ids, args.routed_scale * chosen / at::clamp_min(chosen.sum(-1, true), kTiny)};
}

Tensor route_backward(const RouterBackwardArgs& args) {
  const Tensor s = router_scores(args.logits).gather(-1, args.expert_ids);                        // [T, K]
  const Tensor slope = router_score_slope(args.logits).gather(-1, args.expert_ids);
  const Tensor z = at::clamp_min(s.sum(-1, true), kTiny);
  const Tensor g = args.grad_weights;
  const Tensor ds = args.routed_scale / z * (g - (g * s).sum(-1, true) / z);
  return at::zeros_like(args.logits).scatter_add(-1, args.expert_ids, ds * slope);
}

Tensor dispatch(const RoutePlan& plan, const Tensor& x) {
  return ::temper::gather_rows(x, plan.row2slot.div(plan.top_k, "floor"));
}

Tensor combine(const RoutePlan& plan, const Tensor& rows, const Tensor& extra) {
  const Tensor slots = ::temper::gather_rows(rows, plan.slot2row).view({plan.n_tokens, plan.top_k, rows.size(1)});
  Tensor sum = to_accumulate(slots.select(1, 0));
  for (int64_t k = 1; k < plan.top_k; ++k) sum = sum + slots.select(1, k);
  if (extra.defined()) sum = sum + extra;
  return sum.to(rows.scalar_type());
}

Tensor swiglu(const Tensor& gate_up, const Tensor& row_weights, double limit) {
  auto [gate, up] = halves(gate_up);
  if (limit > 0) {
    gate = at::clamp_max(gate, limit);
    up = at::clamp(up, -limit, limit);
  }
  Tensor product = at::silu(gate) * up;                                                           // [N, F]
  if (row_weights.defined()) product = row_weights.unsqueeze(-1) * product;
  return product.to(gate_up.scalar_type());
}

SwigluGrad swiglu_backward(const Tensor& grad, const Tensor& gate_up, const Tensor& row_weights, double limit) {
  const auto [raw_gate, raw_up] = halves(gate_up);
  const Tensor gate = limit > 0 ? at::clamp_max(raw_gate, limit) : raw_gate;
  const Tensor up = limit > 0 ? at::clamp(raw_up, -limit, limit) : raw_up;
  const Tensor sigma = at::sigmoid(gate), silu = gate * sigma;
  const Tensor d = to_accumulate(grad);
  const Tensor weighted = row_weights.defined() ? row_weights.unsqueeze(-1) * d : d;
  Tensor grad_gate = weighted * up * sigma * (1 + gate * (1 - sigma));
  Tensor grad_up = weighted * silu;
  if (limit > 0) {   // the gradient passes at equality
    grad_gate = at::where(raw_gate > limit, at::zeros_like(grad_gate), grad_gate);
    grad_up = at::where(raw_up.abs() > limit, at::zeros_like(grad_up), grad_up);
  }
  return {at::cat({grad_gate, grad_up}, 1).to(gate_up.scalar_type()), row_weights.defined() ? (d * silu * up).sum(-1) : Tensor()};
}

namespace {
const ReferenceKernel<RouteKernel> route_registered{&route};
const ReferenceKernel<RouteBackwardKernel> route_backward_registered{&route_backward};
const ReferenceKernel<DispatchKernel> dispatch_registered{&dispatch};
const ReferenceKernel<CombineKernel> combine_registered{&combine};
const ReferenceKernel<SwigluKernel> swiglu_registered{&swiglu};
const ReferenceKernel<SwigluBackwardKernel> swiglu_backward_registered{&swiglu_backward};
}  // namespace

}  // namespace temper::reference
