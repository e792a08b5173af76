#include "ops/seams.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "kernels/gather_rows.h"

namespace temper {
namespace {

// Counting sort by expert; stable, so an expert's rows are in token order.
RoutePlan sort_slots(const Tensor& expert_ids, int64_t n_routed_experts) {
  const Tensor ids = expert_ids.contiguous();
  const int64_t* expert = ids.const_data_ptr<int64_t>();
  const int64_t n_slots = ids.numel();
  RoutePlan plan{.row2slot = at::empty({n_slots}, ids.options()), .slot2row = at::empty({n_slots}, ids.options()),
                 .expert_offsets = std::vector<int64_t>(n_routed_experts + 1)};
  for (int64_t slot = 0; slot < n_slots; ++slot) ++plan.expert_offsets[expert[slot] + 1];
  for (int64_t e = 0; e < n_routed_experts; ++e) plan.expert_offsets[e + 1] += plan.expert_offsets[e];
  std::vector<int64_t> next(plan.expert_offsets.begin(), plan.expert_offsets.end() - 1);
  int64_t* row2slot = plan.row2slot.mutable_data_ptr<int64_t>();
  int64_t* slot2row = plan.slot2row.mutable_data_ptr<int64_t>();
  for (int64_t slot = 0; slot < n_slots; ++slot) {
    const int64_t row = next[expert[slot]]++;
    row2slot[row] = slot;
    slot2row[slot] = row;
  }
  return plan;
}

// Meta tensors have no ids: equal shares.
RoutePlan equal_shares(const Tensor& expert_ids, int64_t n_routed_experts) {
  const int64_t n_slots = expert_ids.numel();
  RoutePlan plan{.row2slot = at::empty({n_slots}, expert_ids.options()), .slot2row = at::empty({n_slots}, expert_ids.options()),
                 .expert_offsets = std::vector<int64_t>(n_routed_experts + 1)};
  for (int64_t e = 0; e <= n_routed_experts; ++e) plan.expert_offsets[e] = n_slots * e / n_routed_experts;
  return plan;
}

}  // namespace

RoutePlan LocalTokenDispatcher::plan(const Tensor& expert_ids, int64_t n_routed_experts) const {
  RoutePlan plan = expert_ids.is_cpu() ? sort_slots(expert_ids, n_routed_experts) :
                   expert_ids.is_meta() ? equal_shares(expert_ids, n_routed_experts) : sort_slots(expert_ids.cpu(), n_routed_experts);
  if (!expert_ids.is_cpu()) {
    plan.row2slot = plan.row2slot.to(expert_ids.device());
    plan.slot2row = plan.slot2row.to(expert_ids.device());
  }
  plan.n_tokens = expert_ids.size(0);
  plan.top_k = expert_ids.size(1);
  return plan;
}

Tensor LocalTokenDispatcher::dispatch(const RoutePlan& plan, const Tensor& x) const { return kernel<DispatchKernel>(x)(plan, x); }

Tensor LocalTokenDispatcher::combine(const RoutePlan& plan, const Tensor& rows, const Tensor& extra) const {
  return kernel<CombineKernel>(rows)(plan, rows, extra);
}

Tensor LocalTokenDispatcher::dispatch_weights(const RoutePlan& plan, const Tensor& weights) const {
  return gather_rows(weights.contiguous().view({-1}), plan.row2slot);
}

Tensor LocalTokenDispatcher::combine_weights(const RoutePlan& plan, const Tensor& row_values) const {
  return gather_rows(row_values, plan.slot2row).view({plan.n_tokens, plan.top_k});
}

}  // namespace temper
