#pragma once
// Router and the element-wise and row-moving parts of the mixture of experts.
//   T tokens   D hidden_size   E n_routed_experts   K top_k   F moe_intermediate_size   N = T*K rows, one for each chosen expert of a token
// Source: docs/deepseek_v4.md, "Mixture of experts".  Versions: reference/moe.cpp, cpu/moe.cpp.

#include <vector>

#include "kernels/registry.h"

namespace temper {

struct RouterScores {
  Tensor expert_ids;   // [T, K] int64, distinct within a token
  Tensor weights;      // [T, K] accumulate dtype, sum to routed_scale
};

struct RouterArgs {
  const Tensor& logits;   // [T, E] accumulate dtype
  const Tensor& bias;     // [E] added for the selection only; undefined = none
  const Tensor& expert_ids;   // [T, K] given selection (hash layers); undefined = the top_k of score + bias, ties to the lower index
  int64_t top_k;
  double routed_scale;
};

/// Gradient of the logits [T, E] from that of the weights [T, K]; other scores get none.
struct RouterBackwardArgs {
  const Tensor& grad_weights;   // [T, K]
  const Tensor& logits;         // [T, E]
  const Tensor& expert_ids;     // [T, K]
  double routed_scale;
};

/// Rows of one routing: slot = t * K + k in token order; row = position after a stable sort of the slots by expert.
struct RoutePlan {
  Tensor row2slot;                       // [N] int64
  Tensor slot2row;                       // [N] int64
  std::vector<int64_t> expert_offsets;   // [E + 1]: rows of expert e are [offsets[e], offsets[e + 1])
  int64_t n_tokens = 0, top_k = 0;
};

struct SwigluGrad {
  Tensor gate_up;       // [N, 2F] like the input
  Tensor row_weights;   // [N] accumulate dtype; undefined when there were no weights
};

struct RouteKernel {
  static constexpr auto kName = "route";
  using Function = RouterScores(const RouterArgs& args);
};

struct RouteBackwardKernel {
  static constexpr auto kName = "route_backward";
  using Function = Tensor(const RouterBackwardArgs& args);
};

/// x [T, D] -> rows [N, D]
struct DispatchKernel {
  static constexpr auto kName = "dispatch";
  using Function = Tensor(const RoutePlan& plan, const Tensor& x);
};

/// rows [N, D] -> [T, D]: sum over a token's slots in the order of k, then `extra` [T, D] if defined, in the accumulate
/// dtype; the result has the dtype of rows.
struct CombineKernel {
  static constexpr auto kName = "combine";
  using Function = Tensor(const RoutePlan& plan, const Tensor& rows, const Tensor& extra);
};

/// gate_up [N, 2F] (gate | up) -> [N, F] = weight * silu(min(gate, limit)) * clamp(up, -limit, limit), fp32 inside.
/// row_weights [N] accumulate dtype, undefined = 1; limit 0 = no clamp.
struct SwigluKernel {
  static constexpr auto kName = "swiglu";
  using Function = Tensor(const Tensor& gate_up, const Tensor& row_weights, double limit);
};

struct SwigluBackwardKernel {
  static constexpr auto kName = "swiglu_backward";
  using Function = SwigluGrad(const Tensor& grad, const Tensor& gate_up, const Tensor& row_weights, double limit);
};

namespace reference {

/// sqrt(softplus(logits)) and its derivative sigmoid(l) / (2 s), both right also where exp(l) is denormal or 0:
/// there s = exp(l / 2) and ds/dl = s / 2.
Tensor router_scores(const Tensor& logits);
Tensor router_score_slope(const Tensor& logits);

RouteKernel::Function route;
RouteBackwardKernel::Function route_backward;
DispatchKernel::Function dispatch;
CombineKernel::Function combine;
SwigluKernel::Function swiglu;
SwigluBackwardKernel::Function swiglu_backward;

}  // namespace reference

}  // namespace temper
