#pragma once
// Which sub-layers are computed again in the backward pass so that a run fits into its memory.

#include <functional>
#include <optional>

#include "model/deepseek_v4/forward_options.h"

namespace temper {

/// A sub-layer that may be computed again.
///   flops        of computing it once more (any unit, the same for all)
///   saved_bytes  what one of its kind takes off the peak, about: only the order of kinds depends on it
struct RecomputeCandidate {
  size_t block = 0;
  bool ffn = false;
  double flops = 0;
  int64_t saved_bytes = 0;
};

/// The cheapest policy found of those that fit: kinds that save most bytes for a FLOP first, inside a kind the blocks that are
/// longest away from their backward pass first, as few as possible; then without those that the others make superfluous.
/// Nullopt if not even all together fit.  `fits` is asked about once for each candidate.
std::optional<RecomputePolicies> choose_recompute(size_t n_blocks, std::vector<RecomputeCandidate> candidates,
                                                  const std::function<bool(const RecomputePolicies&)>& fits);

}  // namespace temper
