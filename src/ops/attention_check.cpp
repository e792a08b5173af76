#include <fmt/format.h>

#include "base/error.h"
#include "ops/attention.h"

namespace temper {
namespace {

void require(bool good, const std::string& what) {
  if (good) return;
  throw Error({.kind = ErrorKind::kConfig, .what = what, .where = "model config", .fix = "correct config.json, or take the one that belongs to the weights"});
}

void check_compressor(const CompressorWeights& weights, const AttentionConfig& config, int64_t dim, const std::string& name) {
  const int64_t width = (pools_overlap(config.compress_ratio) ? 2 : 1) * dim;
  expect_shape(weights.wkv.value, {width, config.hidden_size}, name + ".wkv");
  expect_shape(weights.wgate.value, {width, config.hidden_size}, name + ".wgate");
  expect_shape(weights.ape.value, {config.compress_ratio, width}, name + ".ape");
  expect_shape(weights.norm.value, {dim}, name + ".norm");
}

}  // namespace

void check_attention_config(const AttentionConfig& c) {
  require(c.compress_ratio == 0 || c.compress_ratio == 4 || c.compress_ratio == 128, fmt::format("compress_ratio is {}, known are 0, 4 and 128", c.compress_ratio));
  require(c.hidden_size > 0 && c.n_heads > 0 && c.head_dim > 0 && c.q_lora_rank > 0 && c.o_lora_rank > 0, "an attention size is missing or not positive");
  require(c.sliding_window > 0, fmt::format("sliding_window is {}, it must be positive", c.sliding_window));
  require(c.rope_head_dim > 0 && c.rope_head_dim % 2 == 0, fmt::format("rope_head_dim is {}, it must be even and positive", c.rope_head_dim));
  require(c.rope_head_dim <= c.head_dim, fmt::format("rope_head_dim {} is above head_dim {}", c.rope_head_dim, c.head_dim));
  require(c.o_groups > 0 && c.n_heads % c.o_groups == 0, fmt::format("o_groups {} does not divide the {} heads", c.o_groups, c.n_heads));
  if (c.compress_ratio != 4) return;
  require(c.index_n_heads > 0 && c.index_head_dim > 0 && c.index_top_k > 0, "an indexer size is missing or not positive");
  require(c.rope_head_dim <= c.index_head_dim, fmt::format("rope_head_dim {} is above index_head_dim {}", c.rope_head_dim, c.index_head_dim));
}

void check_attention_weights(const AttentionWeights& w, const AttentionConfig& c) {
  expect_shape(w.wq_a.value, {c.q_lora_rank, c.hidden_size}, "attn.wq_a");
  expect_shape(w.q_norm.value, {c.q_lora_rank}, "attn.q_norm");
  expect_shape(w.wq_b.value, {c.n_heads * c.head_dim, c.q_lora_rank}, "attn.wq_b");
  expect_shape(w.wkv.value, {c.head_dim, c.hidden_size}, "attn.wkv");
  expect_shape(w.kv_norm.value, {c.head_dim}, "attn.kv_norm");
  expect_shape(w.attn_sink.value, {c.n_heads}, "attn.attn_sink");
  expect_shape(w.wo_a.value, {c.o_groups * c.o_lora_rank, c.n_heads * c.head_dim / c.o_groups}, "attn.wo_a");
  expect_shape(w.wo_b.value, {c.hidden_size, c.o_groups * c.o_lora_rank}, "attn.wo_b");
  if (c.compress_ratio > 0) check_compressor(w.compressor.value_or(CompressorWeights{}), c, c.head_dim, "attn.compressor");
  if (c.compress_ratio != 4) return;
  const IndexerWeights indexer = w.indexer.value_or(IndexerWeights{});
  expect_shape(indexer.wq_b.value, {c.index_n_heads * c.index_head_dim, c.q_lora_rank}, "attn.indexer.wq_b");
  expect_shape(indexer.weights_proj.value, {c.index_n_heads, c.hidden_size}, "attn.indexer.weights_proj");
  check_compressor(indexer.compressor, c, c.index_head_dim, "attn.indexer.compressor");
}

}  // namespace temper
