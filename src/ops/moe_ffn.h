#pragma once
// Mixture of experts: routed experts (SwiGLU with clamped gate and up, weighted before w2) plus shared experts.
//   T tokens   D hidden_size   E n_routed_experts   K top_k   F moe_intermediate_size   N = T*K rows sorted by expert
// Source: docs/deepseek_v4.md, "Mixture of experts".  Kernels: kernels/moe.h, kernels/grouped_matmul.h.

#include "ops/router.h"
#include "ops/seams.h"

namespace temper {

/// w13 [E, 2F, D] (gate rows, then up rows), w2 [E, D, F]; shared_w13 [2S, D], shared_w2 [D, S] with S the width of all
/// shared experts together (undefined values = no shared expert).
struct MoeFfnWeights {
  RouterWeights router;
  Weight w13, w2, shared_w13, shared_w2;
};

struct MoeFfnConfig {
  RouterConfig router;
  double swiglu_limit = 10;   // 0 = no clamp
};

/// Rows are gathered, and SwiGLU is computed, again in the backward pass.
struct MoeFfnSaved {
  Routing routing;
  RoutePlan plan;
  Tensor gate_up;          // [N, 2F]
  Tensor shared_gate_up;   // [T, 2S]
};

struct MoeFfnForward {
  Tensor out;   // [T, D] as u
  MoeFfnSaved saved;
};
/// u [T, D], token_ids [T]
MoeFfnForward moe_ffn(const Tensor& u, const Tensor& token_ids, const MoeFfnWeights& weights, const MoeFfnConfig& config,
                      const TokenDispatcher& dispatcher);

struct MoeFfnBackward {
  const Tensor& grad_out;             // [T, D]
  const Tensor& grad_router_logits;   // [T, E] from the balance loss; undefined = none
  const Tensor& u;                    // [T, D]
  const MoeFfnSaved& saved;
};
/// -> gradient of u [T, D]; adds to the weights' grads.
Tensor moe_ffn_backward(const MoeFfnBackward& args, const MoeFfnWeights& weights, const MoeFfnConfig& config, const TokenDispatcher& dispatcher);

}  // namespace temper
