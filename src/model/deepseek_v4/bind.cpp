#include "model/deepseek_v4/bind.h"

#include <fmt/format.h>

namespace temper {
namespace {

HyperConnectionWeights hyper_connection(const ModelWeights& w, const std::string& prefix) {
  return {.fn = w.weight(prefix + "_fn"), .base = w.weight(prefix + "_base"), .scale = w.weight(prefix + "_scale")};
}

CompressorWeights compressor(const ModelWeights& w, const std::string& prefix) {
  return {.wkv = w.weight(prefix + "wkv"), .wgate = w.weight(prefix + "wgate"), .ape = w.weight(prefix + "ape"), .norm = w.weight(prefix + "norm")};
}

AttentionConfig attention_config(const ModelConfig& c, int64_t n) {
  return {.hidden_size = c.hidden_size, .n_heads = c.n_heads, .head_dim = c.head_dim, .rope_head_dim = c.rope_head_dim, .q_lora_rank = c.q_lora_rank,
          .o_groups = c.o_groups, .o_lora_rank = c.o_lora_rank, .sliding_window = c.sliding_window, .compress_ratio = c.compress_ratio(n),
          .index_n_heads = c.index_n_heads, .index_head_dim = c.index_head_dim, .index_top_k = c.index_top_k, .rms_norm_eps = c.rms_norm_eps};
}

AttentionWeights attention(const ModelWeights& w, const std::string& prefix, int64_t ratio) {
  AttentionWeights a{.wq_a = w.weight(prefix + "wq_a"), .q_norm = w.weight(prefix + "q_norm"), .wq_b = w.weight(prefix + "wq_b"),
                     .wkv = w.weight(prefix + "wkv"), .kv_norm = w.weight(prefix + "kv_norm"), .attn_sink = w.weight(prefix + "attn_sink"),
                     .wo_a = w.weight(prefix + "wo_a"), .wo_b = w.weight(prefix + "wo_b"), .compressor = {}, .indexer = {}};
  if (ratio > 0) a.compressor = compressor(w, prefix + "compressor.");
  if (ratio == 4)
    a.indexer = IndexerWeights{.wq_b = w.weight(prefix + "indexer.wq_b"), .weights_proj = w.weight(prefix + "indexer.weights_proj"),
                               .compressor = compressor(w, prefix + "indexer.compressor.")};
  return a;
}

MoeFfnWeights moe(const ModelWeights& w, const std::string& prefix) {
  const auto value_of = [&](const std::string& name) { return w.has(name) ? w.weight(name).value : Tensor(); };
  MoeFfnWeights ffn{.router = {.weight = w.weight(prefix + "gate"), .bias = value_of(prefix + "gate.bias"), .tid2eid = value_of(prefix + "gate.tid2eid")},
                    .w13 = w.weight(prefix + "experts.w13"), .w2 = w.weight(prefix + "experts.w2"), .shared_w13 = {}, .shared_w2 = {}};
  if (w.has(prefix + "shared_experts.w13")) {
    ffn.shared_w13 = w.weight(prefix + "shared_experts.w13");
    ffn.shared_w2 = w.weight(prefix + "shared_experts.w2");
  }
  return ffn;
}

}  // namespace

BlockWeights bind_block(const ModelWeights& w, int64_t n) {
  const ModelConfig& c = w.config();
  const std::string name = n < c.n_layers ? fmt::format("layers.{}", n) : fmt::format("mtp.{}", n - c.n_layers);
  return {.name = name,
          .attn_site = {.hc = hyper_connection(w, name + ".hc_attn"), .norm = w.weight(name + ".attn_norm")},
          .ffn_site = {.hc = hyper_connection(w, name + ".hc_ffn"), .norm = w.weight(name + ".ffn_norm")},
          .attn = attention(w, name + ".attn.", c.compress_ratio(n)),
          .attn_config = attention_config(c, n),
          .ffn = moe(w, name + ".ffn."),
          .ffn_config = {.router = {.top_k = c.top_k, .routed_scale = c.routed_scaling_factor}, .swiglu_limit = c.swiglu_limit}};
}

HeadWeights bind_head(const ModelWeights& w, int64_t mtp) {
  const std::string prefix = mtp < 0 ? "" : fmt::format("mtp.{}.", mtp);
  return {.hc = hyper_connection(w, prefix + "hc_head"), .norm = w.weight(prefix + "norm")};
}

MtpWeights bind_mtp(const ModelWeights& w, int64_t i) {
  const std::string prefix = fmt::format("mtp.{}.", i);
  return {.enorm = w.weight(prefix + "enorm"), .hnorm = w.weight(prefix + "hnorm"), .e_proj = w.weight(prefix + "e_proj"), .h_proj = w.weight(prefix + "h_proj"),
          .block = bind_block(w, w.config().n_layers + i), .head = bind_head(w, i)};
}

}  // namespace temper
