#include "ops/moe_ffn.h"

#include <ATen/TensorOperators.h>

#include "ops/grouped_linear.h"

namespace temper {

MoeFfnForward moe_ffn(const Tensor& u, const Tensor& token_ids, const MoeFfnWeights& weights, const MoeFfnConfig& config,
                      const TokenDispatcher& dispatcher) {
  const int64_t E = weights.w13.value.size(0);
  expect_shape(weights.w13.value, {E, -1, u.size(1)}, "moe_ffn.w13");
  MoeFfnSaved saved;
  saved.routing = route(u, token_ids, weights.router, config.router);
  saved.plan = dispatcher.plan(saved.routing.expert_ids, E);

  const bool has_shared = weights.shared_w13.value.defined();
  const auto products = [&](const Tensor& routed, const Tensor& w, const Tensor& shared, const Tensor& shared_w) {
    std::vector<GroupedPart> parts{{routed, w, saved.plan.expert_offsets}};
    if (has_shared) parts.push_back(dense_part(shared, shared_w));
    return grouped_linears(parts);
  };
  Tensor rows = dispatcher.dispatch(saved.plan, u);                                                 // [N, D]
  std::vector<Tensor> gate_up = products(rows, weights.w13.value, u, weights.shared_w13.value);     // [N, 2F], [T, 2S]
  rows.reset();                                                                                     // dispatch buffers are freed at once
  saved.gate_up = gate_up[0];
  const Tensor row_weights = dispatcher.dispatch_weights(saved.plan, saved.routing.weights);        // [N]
  Tensor hidden = kernel<SwigluKernel>(u)(saved.gate_up, row_weights, config.swiglu_limit);         // [N, F]
  Tensor shared_hidden;                                                                             // [T, S]
  if (has_shared) {
    saved.shared_gate_up = gate_up[1];
    shared_hidden = kernel<SwigluKernel>(u)(saved.shared_gate_up, {}, config.swiglu_limit);
  }
  std::vector<Tensor> out = products(hidden, weights.w2.value, shared_hidden, weights.shared_w2.value);   // [N, D], [T, D]
  hidden.reset(), shared_hidden.reset();
  return {dispatcher.combine(saved.plan, out[0], has_shared ? out[1] : Tensor()), std::move(saved)};
}

Tensor moe_ffn_backward(const MoeFfnBackward& args, const MoeFfnWeights& weights, const MoeFfnConfig& config, const TokenDispatcher& dispatcher) {
  const auto& [routing, plan, gate_up, shared_gate_up] = args.saved;
  const double limit = config.swiglu_limit;
  const Tensor row_weights = dispatcher.dispatch_weights(plan, routing.weights);                    // [N]
  Tensor grad_rows = dispatcher.dispatch(plan, args.grad_out);                                      // [N, D]
  Tensor hidden = kernel<SwigluKernel>(args.u)(gate_up, row_weights, limit);                        // [N, F]
  Tensor grad_hidden = grouped_linear_backward(grad_rows, hidden, weights.w2, plan.expert_offsets);
  grad_rows.reset(), hidden.reset();                                                                // here is the peak of a step
  SwigluGrad routed = kernel<SwigluBackwardKernel>(args.u)(grad_hidden, gate_up, row_weights, limit);
  grad_hidden.reset();
  Tensor rows = dispatcher.dispatch(plan, args.u);                                                  // [N, D]
  const Tensor grad_u_rows = grouped_linear_backward(routed.gate_up, rows, weights.w13, plan.expert_offsets);
  rows.reset(), routed.gate_up.reset();

  Tensor grad_u = route_backward({.grad_weights = dispatcher.combine_weights(plan, routed.row_weights),
                                  .grad_logits = args.grad_router_logits,
                                  .u = args.u,
                                  .routing = routing},
                                 weights.router, config.router);                                    // [T, D] accumulate dtype
  if (shared_gate_up.defined()) {
    const Tensor shared_hidden = kernel<SwigluKernel>(args.u)(shared_gate_up, {}, limit);
    const Tensor grad_shared_hidden = dense_linear_backward(args.grad_out, shared_hidden, weights.shared_w2);
    const SwigluGrad shared = kernel<SwigluBackwardKernel>(args.u)(grad_shared_hidden, shared_gate_up, {}, limit);
    grad_u.add_(dense_linear_backward(shared.gate_up, args.u, weights.shared_w13));
  }
  return dispatcher.combine(plan, grad_u_rows, grad_u);
}

}  // namespace temper
