#pragma once
// The model's forward pass over new tokens only, with the past in a KvCache.  Prompts (in chunks) and single new tokens of
// several sequences go through it together, and give what the training forward pass gives at those positions.
// Source: docs/deepseek_v4.md 2; the pieces are those of the training pass (ops/).

#include <vector>

#include "model/deepseek_v4/weights.h"
#include "ops/attention.h"
#include "ops/hyper_connection.h"
#include "ops/moe_ffn.h"
#include "rollout/kv_cache.h"

namespace temper {

enum class LogitsOf { kLastToken, kAllTokens };   // of each chunk

/// Reads the compute weights; they must outlive it and may change between calls.
/// Threads: one call at a time for each cache.
class CachedForward {
 public:
  explicit CachedForward(const ModelWeights& weights);

  /// -> [chunks, V], or [T, V] in the order of the chunks' tokens; accumulate dtype.  REQUIRES ids inside the vocabulary.
  Tensor logits(KvCache& cache, const std::vector<SlotTokens>& chunks, LogitsOf of = LogitsOf::kLastToken) const;

 private:
  struct Layer {
    HyperConnectionWeights attn_site, ffn_site;
    Weight attn_norm, ffn_norm;
    AttentionWeights attention;
    AttentionConfig attention_config;
    MoeFfnWeights moe;
  };
  struct Step;   // what all layers share about one call
  Layer bind(int64_t index) const;
  Step make_step(CachePlan plan) const;
  Tensor attention(const Tensor& u, const Layer& layer, LayerCache& cache, const Step& step) const;

  const ModelWeights& weights_;
  std::vector<Layer> layers_;
  HyperConnectionWeights head_site_;
  HcConfig hc_;
  MoeFfnConfig moe_;
  RopeConfig main_rope_, compress_rope_;
  LocalTokenDispatcher dispatcher_;
};

}  // namespace temper
