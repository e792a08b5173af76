#include "rollout/cached_forward.h"

#include <ATen/TensorOperators.h>

#include "ops/embedding.h"
#include "ops/linear_cross_entropy.h"
#include "ops/rms_norm.h"

namespace temper {
namespace {

HyperConnectionWeights site(const ModelWeights& weights, const std::string& prefix) {
  return {.fn = weights.weight(prefix + "_fn"), .base = weights.weight(prefix + "_base"), .scale = weights.weight(prefix + "_scale")};
}

CompressorWeights bind_compressor(const ModelWeights& weights, const std::string& prefix) {
  return {.wkv = weights.weight(prefix + ".wkv"), .wgate = weights.weight(prefix + ".wgate"), .ape = weights.weight(prefix + ".ape"),
          .norm = weights.weight(prefix + ".norm")};
}

AttentionWeights bind_attention(const ModelWeights& weights, const std::string& prefix, int64_t ratio) {
  const auto get = [&](const char* name) { return weights.weight(prefix + "." + name); };
  AttentionWeights attention{.wq_a = get("wq_a"), .q_norm = get("q_norm"), .wq_b = get("wq_b"), .wkv = get("wkv"), .kv_norm = get("kv_norm"),
                             .attn_sink = get("attn_sink"), .wo_a = get("wo_a"), .wo_b = get("wo_b"), .compressor = {}, .indexer = {}};
  if (ratio > 0) attention.compressor = bind_compressor(weights, prefix + ".compressor");
  if (ratio == KvCache::kSparseRatio)
    attention.indexer = IndexerWeights{.wq_b = get("indexer.wq_b"), .weights_proj = get("indexer.weights_proj"),
                                       .compressor = bind_compressor(weights, prefix + ".indexer.compressor")};
  return attention;
}

MoeFfnWeights bind_moe(const ModelWeights& weights, const std::string& prefix) {
  const auto optional = [&](const std::string& name) { return weights.has(name) ? weights.weight(name) : Weight{}; };
  return {.router = {.weight = weights.weight(prefix + ".gate"), .bias = optional(prefix + ".gate.bias").value, .tid2eid = optional(prefix + ".gate.tid2eid").value},
          .w13 = weights.weight(prefix + ".experts.w13"), .w2 = weights.weight(prefix + ".experts.w2"),
          .shared_w13 = optional(prefix + ".shared_experts.w13"), .shared_w2 = optional(prefix + ".shared_experts.w2")};
}

}  // namespace

CachedForward::CachedForward(const ModelWeights& weights)
    : weights_(weights), head_site_(site(weights, "hc_head")) {
  const ModelConfig& config = weights.config();
  hc_ = {.hc_mult = config.hc_mult, .sinkhorn_iters = config.hc_sinkhorn_iters, .hc_eps = config.hc_eps, .rms_norm_eps = config.rms_norm_eps};
  moe_ = {.router = {.top_k = config.top_k, .routed_scale = config.routed_scaling_factor}, .swiglu_limit = config.swiglu_limit};
  main_rope_ = {.rope_head_dim = config.rope_head_dim, .theta = config.rope_theta, .yarn = {}};
  compress_rope_ = {.rope_head_dim = config.rope_head_dim, .theta = config.compress_rope_theta, .yarn = {}};
  if (config.yarn.enabled())
    compress_rope_.yarn = Yarn{.factor = config.yarn.factor, .original_length = static_cast<double>(config.yarn.original_max_positions),
                               .beta_fast = config.yarn.beta_fast, .beta_slow = config.yarn.beta_slow};
  for (int64_t layer = 0; layer < config.n_layers; ++layer) layers_.push_back(bind(layer));
}

CachedForward::Layer CachedForward::bind(int64_t index) const {
  const ModelConfig& config = weights_.config();
  const std::string prefix = "layers." + std::to_string(index);
  const int64_t ratio = config.compress_ratio(index);
  return {.attn_site = site(weights_, prefix + ".hc_attn"), .ffn_site = site(weights_, prefix + ".hc_ffn"),
          .attn_norm = weights_.weight(prefix + ".attn_norm"), .ffn_norm = weights_.weight(prefix + ".ffn_norm"),
          .attention = bind_attention(weights_, prefix + ".attn", ratio),
          .attention_config = {.hidden_size = config.hidden_size, .n_heads = config.n_heads, .head_dim = config.head_dim, .rope_head_dim = config.rope_head_dim,
                               .q_lora_rank = config.q_lora_rank, .o_groups = config.o_groups, .o_lora_rank = config.o_lora_rank,
                               .sliding_window = config.sliding_window, .compress_ratio = ratio, .index_n_heads = config.index_n_heads,
                               .index_head_dim = config.index_head_dim, .index_top_k = config.index_top_k, .rms_norm_eps = config.rms_norm_eps},
          .moe = bind_moe(weights_, prefix + ".ffn")};
}

struct CachedForward::Step {
  CachePlan plan;
  Rotation main, compress;                    // at the tokens
  CompressorPlan sparse, heavy;               // of the blocks that the call completes
  const EntryPlan& entries(int64_t ratio) const { return ratio == KvCache::kSparseRatio ? plan.sparse : plan.heavy; }
  const CompressorPlan& compressor(int64_t ratio) const { return ratio == KvCache::kSparseRatio ? sparse : heavy; }
};

CachedForward::Step CachedForward::make_step(CachePlan plan) const {
  const at::ScalarType dtype = weights_.options().compute_dtype;
  const auto compressor = [&](int64_t ratio, const EntryPlan& entries) {
    if (entries.n_new == 0) return CompressorPlan{};
    return CompressorPlan{.rows = {.ratio = ratio, .overlap = pools_overlap(ratio), .first_token = entries.first_token, .previous = entries.previous},
                          .rotation = make_rotation(compress_rope_, entries.positions, dtype)};
  };
  Step step{.plan = std::move(plan), .main = {}, .compress = {}, .sparse = {}, .heavy = {}};
  step.main = make_rotation(main_rope_, step.plan.positions, dtype);
  step.compress = make_rotation(compress_rope_, step.plan.positions, dtype);
  step.sparse = compressor(KvCache::kSparseRatio, step.plan.sparse);
  step.heavy = compressor(KvCache::kHeavyRatio, step.plan.heavy);
  return step;
}

namespace {

// Takes the new tokens' rows in, and pools the blocks that they complete.
void update_entries(const Tensor& u, const CompressorWeights& weights, const EntryPlan& entries, const CompressorPlan& plan, double eps, CompressorCache& cache) {
  const CompressorProjection projection = compressor_project(u, weights);
  cache.values.index_copy_(0, entries.pending_rows, projection.values);
  cache.gates.index_copy_(0, entries.pending_rows, projection.gates);
  if (entries.n_new == 0) return;
  const CompressorEntries made = compressor_entries({cache.values, cache.gates}, weights, plan.rows, plan.rotation, eps, u.scalar_type());
  cache.entries.index_copy_(0, entries.rows, made.entries);
}

}  // namespace

Tensor CachedForward::attention(const Tensor& u, const Layer& layer, LayerCache& cache, const Step& step) const {
  const AttentionConfig& config = layer.attention_config;
  const int64_t ratio = config.compress_ratio;
  const Rotation& rotation = ratio == 0 ? step.main : step.compress;
  const AttentionQueries queries = attention_queries(u, layer.attention, config, rotation);    // q [T, H, Dh]
  cache.window.index_copy_(0, step.plan.window_rows, attention_window_keys(u, layer.attention, config, rotation).kv);

  AttentionKeys keys{.window = cache.window, .window_begin = step.plan.window_begin, .window_end = step.plan.window_end, .max_window = step.plan.max_window,
                     .entries = {}, .entry_begin = {}, .entry_end = {}, .max_entries = 0, .selected = {}};
  if (ratio > 0) {
    const EntryPlan& entries = step.entries(ratio);
    update_entries(u, *layer.attention.compressor, entries, step.compressor(ratio), config.rms_norm_eps, cache.compressor);
    keys.entries = cache.compressor.entries;
    keys.entry_begin = entries.begin, keys.entry_end = entries.end, keys.max_entries = entries.max_entries;
    if (ratio == KvCache::kSparseRatio) {
      update_entries(u, layer.attention.indexer->compressor, entries, step.compressor(ratio), config.rms_norm_eps, cache.indexer);
      if (entries.max_entries > config.index_top_k) {
        const IndexerConfig indexer{.n_heads = config.index_n_heads, .head_dim = config.index_head_dim, .top_k = config.index_top_k};
        const IndexerQueries index = indexer_queries(u, queries.qr, *layer.attention.indexer, indexer, rotation);
        keys.selected = kernel<IndexerSelect>(u)({.q = index.q, .keys = cache.indexer.entries, .weights = index.weights, .entry_begin = entries.begin,
                                                  .entry_end = entries.end, .max_entries = entries.max_entries}, config.index_top_k);
      }
    }
  }
  const AttentionOutput attended = attend(queries.q, keys, layer.attention.attn_sink, rotation);
  return attention_output(attended.o, layer.attention, config).out;                            // [T, D]
}

Tensor CachedForward::logits(KvCache& cache, const std::vector<SlotTokens>& chunks, LogitsOf of) const {
  const ModelConfig& config = weights_.config();
  const Step step = make_step(cache.advance(chunks));
  const Tensor h = embedding(step.plan.token_ids, weights_.weight("embed").value);             // [T, D]
  Tensor streams = h.unsqueeze(1).expand({-1, config.hc_mult, -1}).contiguous();               // [T, M, D]
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const HcPre attn = hc_pre(streams, layer.attn_site, hc_);
    const Tensor u = rms_norm(attn.y, layer.attn_norm.value, config.rms_norm_eps).y;
    streams = hc_post(streams, attention(u, layer, cache.layer(static_cast<int64_t>(i)), step), attn.saved);
    const HcPre ffn = hc_pre(streams, layer.ffn_site, hc_);
    const Tensor v = rms_norm(ffn.y, layer.ffn_norm.value, config.rms_norm_eps).y;
    streams = hc_post(streams, moe_ffn(v, step.plan.token_ids, layer.moe, moe_, dispatcher_).out, ffn.saved);
  }
  if (of == LogitsOf::kLastToken) streams = streams.index_select(0, step.plan.last_tokens);
  const Tensor x = rms_norm(hc_head(streams, head_site_, hc_).y, weights_.weight("norm").value, config.rms_norm_eps).y;
  return temper::logits(x, weights_.weight("head").value);
}

}  // namespace temper
