#include "ops/router.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "base/error.h"
#include "kernels/gather_rows.h"
#include "ops/expert_ids.h"
#include "ops/linear.h"

namespace temper {
void check_tid2eid(const Tensor& tid2eid, int64_t n_routed_experts, const std::string& name) {
  check_expert_ids(tid2eid, n_routed_experts, {.name = name, .file = {}});
}

Routing route(const Tensor& u, const Tensor& token_ids, const RouterWeights& weights, const RouterConfig& config) {
  expect_shape(weights.weight.value, {-1, u.size(1)}, "router.weight");
  const Tensor logits = linear_wide(u, weights.weight.value);                                       // [T, E]
  const Tensor given = weights.tid2eid.defined() ? gather_rows(weights.tid2eid, token_ids) : Tensor();
  const auto [expert_ids, row_weights] = kernel<RouteKernel>(u)(
      {.logits = logits, .bias = weights.bias, .expert_ids = given, .top_k = config.top_k, .routed_scale = config.routed_scale});
  return {logits, expert_ids, row_weights};
}

Tensor route_backward(const RouteBackward& args, const RouterWeights& weights, const RouterConfig& config) {
  Tensor grad_logits = kernel<RouteBackwardKernel>(args.u)({.grad_weights = args.grad_weights,
                                                           .logits = args.routing.logits,
                                                           .expert_ids = args.routing.expert_ids,
                                                           .routed_scale = config.routed_scale});
  if (args.grad_logits.defined()) grad_logits = grad_logits + args.grad_logits;                      // [T, E]
  Tensor grad_u = at::zeros(args.u.sizes(), grad_logits.options());                                  // [T, D]
  linear_backward_into(grad_logits, args.u, weights.weight, grad_u);
  return grad_u;
}

Tensor expert_counts(const Tensor& expert_ids, int64_t n_routed_experts) {
  if (expert_ids.is_meta()) return at::empty({n_routed_experts}, expert_ids.options());
  return at::bincount(expert_ids.flatten(), {}, n_routed_experts);
}

BalanceLoss balance_loss(const Routing& routing, const std::vector<int64_t>& document_lengths, double scale) {
  if (routing.logits.is_meta()) return {at::empty({}, routing.logits.options().dtype(at::kDouble)), at::empty_like(routing.logits)};
  const int64_t E = routing.logits.size(1), K = routing.expert_ids.size(1);
  const Tensor scores = reference::router_scores(routing.logits);                           // [T, E]
  const Tensor z = scores.sum(-1, true);                                                             // [T, 1]
  const Tensor share = scores / z;
  Tensor grad = at::empty_like(scores);
  Tensor sum = at::zeros({}, scores.options().dtype(at::kDouble));
  int64_t start = 0;
  for (const int64_t length : document_lengths) {
    const Tensor counts = expert_counts(routing.expert_ids.narrow(0, start, length), E);
    const Tensor f = counts.to(scores.scalar_type()) * (static_cast<double>(E) / static_cast<double>(K * length));   // [E]
    const Tensor of_document = share.narrow(0, start, length);                                       // [T_d, E]
    const Tensor weighted = at::matmul(of_document, f);                                              // [T_d]
    sum = sum + weighted.sum(0, false, at::kDouble);
    grad.narrow(0, start, length).copy_((f - weighted.unsqueeze(-1)) / z.narrow(0, start, length));
    start += length;
  }
  return {sum, scale * grad * reference::router_score_slope(routing.logits)};
}

}  // namespace temper
