#pragma once
// The interfaces that a parallel layer may implement.  The local versions are complete for one rank; the model takes
// them through its constructor and never asks which one it has.

#include "kernels/moe.h"

namespace temper {

/// Sends each token's row to its experts and sums what comes back.
/// Shapes   expert_ids, weights [T, K]; x [T, D]; rows [N, ...] sorted by expert, inside an expert by token
/// Threads  collective where experts live on several ranks: every rank calls the same methods in the same order
/// Backward the gradient of dispatch is combine, the gradient of combine is dispatch; of dispatch_weights combine_weights
class TokenDispatcher {
 public:
  virtual ~TokenDispatcher() = default;
  virtual RoutePlan plan(const Tensor& expert_ids, int64_t n_routed_experts) const = 0;
  virtual Tensor dispatch(const RoutePlan& plan, const Tensor& x) const = 0;                             // [N, D]
  virtual Tensor combine(const RoutePlan& plan, const Tensor& rows, const Tensor& extra) const = 0;      // [T, D], + extra if defined
  virtual Tensor dispatch_weights(const RoutePlan& plan, const Tensor& weights) const = 0;               // [N]
  virtual Tensor combine_weights(const RoutePlan& plan, const Tensor& row_values) const = 0;             // [T, K]
};

/// All experts on this rank.
class LocalTokenDispatcher final : public TokenDispatcher {
 public:
  RoutePlan plan(const Tensor& expert_ids, int64_t n_routed_experts) const override;
  Tensor dispatch(const RoutePlan& plan, const Tensor& x) const override;
  Tensor combine(const RoutePlan& plan, const Tensor& rows, const Tensor& extra) const override;
  Tensor dispatch_weights(const RoutePlan& plan, const Tensor& weights) const override;
  Tensor combine_weights(const RoutePlan& plan, const Tensor& row_values) const override;
};

}  // namespace temper
