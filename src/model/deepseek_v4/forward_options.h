#pragma once
// What a caller asks of a forward pass.

#include <cstdint>
#include <vector>

namespace temper {

/// Which sub-layers of a block keep only the streams that enter them and run forward again in the backward pass.
struct RecomputePolicy {
  bool attention = false, ffn = false;
  bool operator==(const RecomputePolicy&) const = default;
};

/// Of each block, MTP last; one element stands for all blocks, none for nothing recomputed.
using RecomputePolicies = std::vector<RecomputePolicy>;
inline RecomputePolicy policy_of(const RecomputePolicies& policies, size_t block) {
  return policies.empty() ? RecomputePolicy{} : policies.size() == 1 ? policies[0] : policies.at(block);
}

struct ForwardOptions {
  /// false: nothing is kept for a backward pass.
  bool training = true;
  RecomputePolicies recompute{};
  /// Runs the MTP blocks, if the model has any.
  bool mtp = false;
  /// What the gradients of the auxiliary losses are multiplied by; the reported sums are not.  0 = off: not computed at
  /// all, and the indexer gets no gradient.
  ///   balance_scale  loss weight / tokens of the global batch
  ///   indexer_scale  loss weight / queries of the global batch that see a compressed entry
  double balance_scale = 0, indexer_scale = 0;
  /// Quantise the indexer's queries and keys as deployment does (quantisation-aware training).
  bool fp4_indexer = false;
};

}  // namespace temper
