#include "rollout/cached_forward.h"

#include <ATen/core/LegacyTypeDispatch.h>

#include "kernels/linear.h"
#include "kernels/put_rows.h"
#include "tensor/profile.h"

namespace temper {

struct CachedForward::Step {
  CachePlan plan;
  Rotation main, compress;        // at the tokens
  CompressorPlan sparse, heavy;   // of the blocks that the call completes
  const EntryPlan& entries(int64_t ratio) const { return ratio == KvCache::kSparseRatio ? plan.sparse : plan.heavy; }
  const CompressorPlan& compressor(int64_t ratio) const { return ratio == KvCache::kSparseRatio ? sparse : heavy; }
};

namespace {

// All products of a block's attention with its input, in one call.
struct Projected {
  Tensor qa, kv;   // [T, q_lora_rank], [T, Dh]
  CompressorProjection compressor, indexer;
};

Projected project(const Tensor& u, const AttentionWeights& weights) {
  std::vector<LinearPart> parts{{weights.wq_a.value, u.scalar_type()}, {weights.wkv.value, u.scalar_type()}};
  const auto add = [&](const CompressorWeights& compressor) {
    for (const Weight* weight : {&compressor.wkv, &compressor.wgate}) parts.push_back({weight->value, accumulate_dtype(u.scalar_type())});
  };
  if (weights.compressor) add(*weights.compressor);
  if (weights.indexer) add(weights.indexer->compressor);
  std::vector<Tensor> y = kernel<LinearsForward>(u)(u, parts);
  Projected out{.qa = y[0], .kv = y[1], .compressor = {}, .indexer = {}};
  if (weights.compressor) out.compressor = {y[2], y[3]};
  if (weights.indexer) out.indexer = {y[4], y[5]};
  return out;
}

// Takes the new tokens' rows in, and pools the blocks that they complete.  -> [n_new, Dh] as u (undefined without any)
Tensor new_entries(const CompressorProjection& projection, const CompressorWeights& weights, const EntryPlan& entries, const CompressorPlan& plan, double eps,
                   CompressorCache& cache, at::ScalarType dtype) {
  put_rows(cache.values, entries.pending_rows, projection.values);
  put_rows(cache.gates, entries.pending_rows, projection.gates);
  if (entries.n_new == 0) return {};
  return compressor_entries({cache.values, cache.gates}, weights, plan.rows, plan.rotation, eps, dtype).entries;
}

}  // namespace

CachedForward::CachedForward(const ModelWeights& weights, CachedForwardOptions options) : model_(weights), options_(options) {
  for (int64_t layer = 0; layer < weights.config().n_layers; ++layer) blocks_.push_back(model_.block(layer));
}

CachedForward::Step CachedForward::make_step(CachePlan plan) const {
  const at::ScalarType dtype = model_.weights().options().compute_dtype;
  const RopeConfig compress_rope = model_.compress_rope();
  const auto compressor = [&](int64_t ratio, const EntryPlan& entries) {
    if (entries.n_new == 0) return CompressorPlan{};
    return CompressorPlan{.rows = {.ratio = ratio, .overlap = pools_overlap(ratio), .first_token = entries.first_token, .previous = entries.previous},
                          .rotation = make_rotation(compress_rope, entries.positions, dtype)};
  };
  Step step{.plan = std::move(plan), .main = {}, .compress = {}, .sparse = {}, .heavy = {}};
  step.main = make_rotation(model_.main_rope(), step.plan.positions, dtype);
  step.compress = make_rotation(compress_rope, step.plan.positions, dtype);
  step.sparse = compressor(KvCache::kSparseRatio, step.plan.sparse);
  step.heavy = compressor(KvCache::kHeavyRatio, step.plan.heavy);
  return step;
}

Tensor CachedForward::attention(const Tensor& u, const BlockWeights& block, LayerCache& cache, const Step& step) const {
  const AttentionConfig& config = block.attn_config;
  const int64_t ratio = config.compress_ratio;
  const Rotation& rotation = ratio == 0 ? step.main : step.compress;
  const Projected projected = project(u, block.attn);
  const AttentionQueries queries = attention_queries(projected.qa, block.attn, config, rotation);   // q [T, H, Dh]
  put_rows(cache.window, step.plan.window_rows, attention_window_keys(projected.kv, block.attn, config, rotation).kv);

  AttentionKeys keys;
  keys.window = cache.window;
  keys.window_begin = step.plan.window_begin, keys.window_end = step.plan.window_end, keys.max_window = step.plan.max_window;
  if (ratio > 0) {
    const EntryPlan& entries = step.entries(ratio);
    const Tensor fresh = new_entries(projected.compressor, *block.attn.compressor, entries, step.compressor(ratio), config.rms_norm_eps, cache.compressor, u.scalar_type());
    if (fresh.defined()) put_rows(cache.compressor.entries, entries.rows, fresh);
    keys.entries = cache.compressor.entries;
    keys.entry_begin = entries.begin, keys.entry_end = entries.end, keys.max_entries = entries.max_entries;
    if (ratio == KvCache::kSparseRatio) {
      const IndexerConfig indexer{.n_heads = config.index_n_heads, .head_dim = config.index_head_dim, .top_k = config.index_top_k, .fp4 = options_.fp4_indexer};
      const Tensor index_entries = new_entries(projected.indexer, block.attn.indexer->compressor, entries, step.compressor(ratio), config.rms_norm_eps, cache.indexer, u.scalar_type());
      if (index_entries.defined()) put_rows(cache.indexer.entries, entries.rows, indexer_keys(index_entries, indexer));
      if (entries.max_entries > config.index_top_k) {
        const IndexerQueries index = indexer_queries(u, queries.qr, *block.attn.indexer, indexer, rotation);
        keys.selected = kernel<IndexerSelect>(u)({.q = index.q, .keys = cache.indexer.entries, .weights = index.weights, .entry_begin = entries.begin,
                                                  .entry_end = entries.end, .max_entries = entries.max_entries}, config.index_top_k);
      }
    }
  }
  const AttentionOutput attended = attend(queries.q, keys, block.attn.attn_sink, rotation);
  return attention_output(attended.o, block.attn, config).out;                                 // [T, D]
}

Tensor CachedForward::logits(KvCache& cache, const std::vector<SlotTokens>& chunks, LogitsOf of) const {
  const at::AutoDispatchBelowADInplaceOrView no_gradients;   // without its part of libtorch an operation on few numbers costs half
  const ModelConfig& config = model_.config();
  const Step step = make_step(cache.advance(chunks));
  SiteSaved site = enter_site(model_.embed(step.plan.token_ids), blocks_.front().attn_site, config);   // streams [T, M, D]
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const BlockWeights& block = blocks_[i];
    {
      const ProfilePart part("attention");
      site = next_site(site, attention(site.u, block, cache.layer(static_cast<int64_t>(i)), step), block.ffn_site, config);
    }
    const ProfilePart part("ffn");
    const Tensor out = moe_ffn(site.u, step.plan.token_ids, block.ffn, block.ffn_config, model_.dispatcher()).out;
    if (i + 1 < blocks_.size()) site = next_site(site, out, blocks_[i + 1].attn_site, config);
    else site.streams = leave_site(site, out);
  }
  const ProfilePart part("head");
  const Tensor streams = of == LogitsOf::kLastToken ? site.streams.index_select(0, step.plan.last_tokens) : site.streams;
  return model_.logits(model_.final_hidden(streams));
}

}  // namespace temper
