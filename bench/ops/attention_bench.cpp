// The attention sub-layer, forward and backward, for the three kinds of layers.
//   ./dev bench attention
// Sizes: hidden 256, 8 heads of 64, window 64, indexer 4 x 32 with top 64; 2,048 tokens as 4 documents of 512.

#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>

#include <cmath>

#include "ops/attention.h"

namespace temper {
namespace {

struct Layer {
  AttentionConfig config;
  AttentionContext context;
  AttentionWeights weights;
  Tensor u;
};

Weight random_weight(std::initializer_list<int64_t> shape, at::ScalarType dtype) {
  const double scale = 1 / std::sqrt(static_cast<double>(*(shape.end() - 1)));
  return {at::randn(shape, at::kFloat).mul_(scale).to(dtype), at::zeros(shape, at::kFloat)};
}

CompressorWeights random_compressor(const AttentionConfig& c, int64_t dim, at::ScalarType dtype) {
  const int64_t width = (pools_overlap(c.compress_ratio) ? 2 : 1) * dim;
  return {random_weight({width, c.hidden_size}, dtype), random_weight({width, c.hidden_size}, dtype), random_weight({c.compress_ratio, width}, dtype),
          random_weight({dim}, dtype)};
}

Layer make_layer(int64_t ratio, at::ScalarType dtype) {
  Layer layer;
  AttentionConfig& c = layer.config;
  c = {.hidden_size = 256, .n_heads = 8, .head_dim = 64, .rope_head_dim = 16, .q_lora_rank = 128, .o_groups = 2, .o_lora_rank = 64, .sliding_window = 64,
       .compress_ratio = ratio, .index_n_heads = 4, .index_head_dim = 32, .index_top_k = 64};
  layer.context = AttentionContext::make({.document_lengths = {512, 512, 512, 512}, .ratios = {ratio}, .sliding_window = c.sliding_window,
                                          .main = {.rope_head_dim = 16, .theta = 10000, .yarn = {}}, .compress = {.rope_head_dim = 16, .theta = 160000, .yarn = Yarn{}},
                                          .dtype = dtype});
  layer.weights = {random_weight({128, 256}, dtype), random_weight({128}, dtype), random_weight({512, 128}, dtype), random_weight({64, 256}, dtype),
                   random_weight({64}, dtype), random_weight({8}, dtype), random_weight({128, 256}, dtype), random_weight({256, 128}, dtype), {}, {}};
  if (ratio > 0) layer.weights.compressor = random_compressor(c, c.head_dim, dtype);
  if (ratio == 4) layer.weights.indexer = IndexerWeights{random_weight({128, 128}, dtype), random_weight({4, 256}, dtype), random_compressor(c, 32, dtype)};
  layer.u = at::randn({layer.context.layout.n_tokens, 256}, at::kFloat).to(dtype);
  return layer;
}

// Arguments: ratio, 1 = bf16, 1 = with the indexer's loss.
void attention_step(benchmark::State& state, bool backward) {
  const Layer layer = make_layer(state.range(0), state.range(1) ? at::kBFloat16 : at::kFloat);
  const AttentionOptions options{.probe_prefix = "", .train_indexer = state.range(2) != 0};
  const Tensor grad = at::ones_like(layer.u);
  for (auto _ : state) {
    const AttentionForward forward = attention(layer.u, layer.weights, layer.config, layer.context, options);
    if (backward) benchmark::DoNotOptimize(attention_backward(grad, layer.weights, layer.config, layer.context, options, forward.saved, 1e-3));
  }
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(state.iterations() * layer.u.size(0)), benchmark::Counter::kIsRate);
}

void BM_Forward(benchmark::State& state) { attention_step(state, false); }
void BM_ForwardBackward(benchmark::State& state) { attention_step(state, true); }

void modes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"ratio", "bf16", "indexer_loss"})->Unit(benchmark::kMillisecond)->UseRealTime();
  for (const int64_t bf16 : {0, 1})
    for (const int64_t ratio : {0, 4, 128}) bench->Args({ratio, bf16, 0});
  bench->Args({4, 1, 1});
}
BENCHMARK(BM_Forward)->Apply(modes);
BENCHMARK(BM_ForwardBackward)->Apply(modes);

}  // namespace
}  // namespace temper
