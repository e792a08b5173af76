#pragma once
// The model's forward pass over new tokens only, with the past in a KvCache.  Prompts (in chunks) and single new tokens of
// several sequences go through it together, and give what the training forward pass gives at those positions.
// Source: docs/deepseek_v4.md 2; the pieces are those of the training pass (model/, ops/).

#include <vector>

#include "model/deepseek_v4/model.h"
#include "rollout/kv_cache.h"

namespace temper {

enum class LogitsOf { kLastToken, kAllTokens };   // of each chunk

struct CachedForwardOptions {
  bool fp4_indexer = false;   // quantise the indexer's queries and keys as deployment does (ForwardOptions)
};

/// Reads the compute weights; they must outlive it and may change between calls.
/// Threads: one call at a time for each cache.
class CachedForward {
 public:
  explicit CachedForward(const ModelWeights& weights, CachedForwardOptions options = {});

  /// -> [chunks, V], or [T, V] in the order of the chunks' tokens; accumulate dtype.  REQUIRES ids inside the vocabulary.
  Tensor logits(KvCache& cache, const std::vector<SlotTokens>& chunks, LogitsOf of = LogitsOf::kLastToken) const;

 private:
  struct Step;   // what all layers share about one call
  Step make_step(CachePlan plan) const;
  Tensor attention(const Tensor& u, const BlockWeights& block, LayerCache& cache, const Step& step) const;

  Model model_;
  CachedForwardOptions options_;
  std::vector<BlockWeights> blocks_;
};

}  // namespace temper
