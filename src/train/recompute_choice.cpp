#include "train/recompute_choice.h"

#include <algorithm>
#include <numeric>

namespace temper {
namespace {

RecomputePolicies policies_of(size_t n_blocks, const std::vector<RecomputeCandidate>& chosen) {
  RecomputePolicies policies(n_blocks);
  for (const RecomputeCandidate& c : chosen) (c.ffn ? policies[c.block].ffn : policies[c.block].attention) = true;
  return policies;
}

}  // namespace

std::optional<RecomputePolicies> choose_recompute(size_t n_blocks, std::vector<RecomputeCandidate> candidates,
                                                  const std::function<bool(const RecomputePolicies&)>& fits) {
  const auto density = [](const RecomputeCandidate& c) { return static_cast<double>(c.saved_bytes) / std::max(c.flops, 1.0); };
  std::stable_sort(candidates.begin(), candidates.end(), [&](const RecomputeCandidate& a, const RecomputeCandidate& b) {
    return density(a) != density(b) ? density(a) > density(b) : a.block < b.block;
  });
  const auto first = [&](size_t n) { return std::vector<RecomputeCandidate>(candidates.begin(), candidates.begin() + static_cast<int64_t>(n)); };

  if (fits(policies_of(n_blocks, {}))) return policies_of(n_blocks, {});
  if (!fits(policies_of(n_blocks, candidates))) return std::nullopt;
  size_t too_few = 0, enough = candidates.size();
  while (enough - too_few > 1) {
    const size_t middle = std::midpoint(too_few, enough);
    (fits(policies_of(n_blocks, first(middle))) ? enough : too_few) = middle;
  }

  std::vector<RecomputeCandidate> chosen = first(enough);
  std::vector<RecomputeCandidate> by_cost = chosen;
  std::stable_sort(by_cost.begin(), by_cost.end(), [](const RecomputeCandidate& a, const RecomputeCandidate& b) { return a.flops > b.flops; });
  for (const RecomputeCandidate& costly : by_cost) {
    std::vector<RecomputeCandidate> without = chosen;
    std::erase_if(without, [&](const RecomputeCandidate& c) { return c.block == costly.block && c.ffn == costly.ffn; });
    if (fits(policies_of(n_blocks, without))) chosen = std::move(without);
  }
  return policies_of(n_blocks, chosen);
}

}  // namespace temper
