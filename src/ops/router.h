#pragma once
// Which experts a token goes to and with which weights; the balance loss; expert counts.
//   T tokens   D hidden_size   E n_routed_experts   K top_k
// Logits, scores and weights are fp32 (fp64 in fp64 runs).
// Source: docs/deepseek_v4.md, "Mixture of experts" and "Losses".  Kernels: kernels/moe.h.

#include <string>
#include <vector>

#include "kernels/moe.h"
#include "tensor/weight.h"

namespace temper {

/// weight [E, D]; bias [E] fp32 moves the selection only (undefined = none);
/// tid2eid [V, K] int64 selects by token id (undefined in layers with learned routing).
struct RouterWeights {
  Weight weight;
  Tensor bias, tid2eid;
};

struct RouterConfig {
  int64_t top_k = 6;
  double routed_scale = 1;
};

struct Routing {
  Tensor logits;       // [T, E]
  Tensor expert_ids;   // [T, K] int64
  Tensor weights;      // [T, K]
};

/// Errors  kCheckpoint unless every row of tid2eid holds distinct ids in [0, E): a duplicate would count an expert twice.
void check_tid2eid(const Tensor& tid2eid, int64_t n_routed_experts, const std::string& name);

/// u [T, D], token_ids [T] int64 (used by hash layers)
Routing route(const Tensor& u, const Tensor& token_ids, const RouterWeights& weights, const RouterConfig& config);

/// grad_weights [T, K]; grad_logits [T, E] from the balance loss, undefined = none.
/// -> gradient of u [T, D] in the accumulate dtype; adds to the weight's grad.
struct RouteBackward {
  const Tensor& grad_weights;
  const Tensor& grad_logits;
  const Tensor& u;
  const Routing& routing;
};
Tensor route_backward(const RouteBackward& args, const RouterWeights& weights, const RouterConfig& config);

/// Tokens routed to each expert.  -> [E] int64
Tensor expert_counts(const Tensor& expert_ids, int64_t n_routed_experts);

/// Sequence-wise balance loss: for each document of T_d tokens E / (K T_d) * sum_e count_e * mean_t s_te / sum_e s_te.
/// 1 means balanced.  Counts are those of the actual routing and constant for the gradient.
struct BalanceLoss {
  Tensor sum;           // [] fp64: sum over documents of T_d times the loss (divide by tokens for the mean)
  Tensor grad_logits;   // [T, E], times `scale`
};
BalanceLoss balance_loss(const Routing& routing, const std::vector<int64_t>& document_lengths, double scale);

}  // namespace temper
