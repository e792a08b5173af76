// Attention over window and entries, forward and backward, and the choice of entries, beside the rate of a large product of the
// same dtype in the same run.   ./dev bench sink_attention
// Sizes: layers of v4_12m and v4_100m, one layer of Pro; the last queries of one document.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>

#include <algorithm>

#include "kernels/indexer.h"
#include "train/benchmark.h"

namespace temper {
namespace {

struct Layer {
  const char* name;
  int64_t heads, dim, window, top_k, index_heads, index_dim;
};
constexpr Layer kLayers[] = {{"v4_12m", 8, 64, 64, 64, 4, 32}, {"v4_100m", 16, 128, 128, 128, 8, 64}, {"pro", 128, 512, 128, 1024, 64, 128}};

struct Problem {
  Tensor q, sink;
  AttentionKeys keys;
  IndexerInputs indexer;
  double pairs = 0, scored = 0;   // (query, key) attended to, (query, entry) scored
};

Tensor clamped_counts(int64_t first, int64_t n, int64_t step) {   // complete blocks of `step` tokens up to each query
  Tensor counts = at::empty({n}, at::kLong);
  for (int64_t i = 0; i < n; ++i) counts.mutable_data_ptr<int64_t>()[i] = (first + i + 1) / step;
  return counts;
}

// Queries [length - n, length) of a document.
Problem make_problem(const Layer& layer, int64_t ratio, int64_t length, int64_t n, at::ScalarType dtype) {
  const auto random = [&](std::initializer_list<int64_t> shape) { return at::randn(shape, at::kFloat).to(dtype); };
  const int64_t first = length - n;
  Problem p{.q = random({n, layer.heads, layer.dim}), .sink = at::randn({layer.heads}, at::kFloat), .keys = {}, .indexer = {}};
  p.keys.window = random({n + layer.window - 1, layer.dim});
  p.keys.window_begin = at::arange(n, at::kLong);
  p.keys.window_end = at::arange(n, at::kLong) + layer.window;
  p.keys.max_window = layer.window;
  p.pairs = static_cast<double>(n * layer.window);
  if (ratio == 0) return p;
  const int64_t n_entries = length / ratio;
  p.keys.entries = random({n_entries, layer.dim});
  p.keys.entry_begin = at::arange(n, at::kLong) * 0;
  p.keys.entry_end = clamped_counts(first, n, ratio);
  p.keys.max_entries = n_entries;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t seen = (first + i + 1) / ratio;
    p.pairs += static_cast<double>(ratio == 4 ? std::min(seen, layer.top_k) : seen);
    p.scored += static_cast<double>(seen);
  }
  if (ratio != 4 || n_entries <= layer.top_k) return p;
  p.indexer = {.q = random({n, layer.index_heads, layer.index_dim}), .keys = random({n_entries, layer.index_dim}), .weights = at::randn({n, layer.index_heads}, at::kFloat),
               .entry_begin = p.keys.entry_begin, .entry_end = p.keys.entry_end, .max_entries = n_entries};
  p.keys.selected = kernel<IndexerSelect>(p.q)(p.indexer, layer.top_k);
  return p;
}

void report(benchmark::State& state, at::ScalarType dtype, double flops) {
  static const double bf16_peak = gemm_peak_flops_per_second(at::kBFloat16), float_peak = gemm_peak_flops_per_second(at::kFloat);
  const double done = flops * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(done * 1e-9, benchmark::Counter::kIsRate);
  state.counters["of_roof"] = benchmark::Counter(done / (dtype == at::kFloat ? float_peak : bf16_peak), benchmark::Counter::kIsRate);
}

// Arguments: layer, ratio, length, 1 = bf16.
template <class Body>
void measure(benchmark::State& state, const Body& body) {
  const Layer& layer = kLayers[state.range(0)];
  const at::ScalarType dtype = state.range(3) ? at::kBFloat16 : at::kFloat;
  const Problem p = make_problem(layer, state.range(1), state.range(2), layer.heads > 64 ? 64 : 512, dtype);
  state.SetLabel(layer.name);
  body(layer, p, dtype);
}

void BM_Forward(benchmark::State& state) {
  measure(state, [&](const Layer& layer, const Problem& p, at::ScalarType dtype) {
    for (auto _ : state) benchmark::DoNotOptimize(kernel<SinkAttention>(p.q)(p.q, p.keys, p.sink, 0.1));
    report(state, dtype, 4 * p.pairs * static_cast<double>(layer.heads * layer.dim));
  });
}
void BM_Backward(benchmark::State& state) {
  measure(state, [&](const Layer& layer, const Problem& p, at::ScalarType dtype) {
    const AttentionOutput out = kernel<SinkAttention>(p.q)(p.q, p.keys, p.sink, 0.1);
    const AttentionTrace trace{p.q, out.lse, p.keys, 0.1};
    for (auto _ : state) benchmark::DoNotOptimize(kernel<SinkAttentionBackward>(p.q)(p.q, out.lse, trace, p.sink, {}));
    report(state, dtype, 10 * p.pairs * static_cast<double>(layer.heads * layer.dim));
  });
}
void BM_Select(benchmark::State& state) {
  measure(state, [&](const Layer& layer, const Problem& p, at::ScalarType dtype) {
    if (!p.indexer.q.defined()) return state.SkipWithError("every query sees all entries");
    for (auto _ : state) benchmark::DoNotOptimize(kernel<IndexerSelect>(p.q)(p.indexer, layer.top_k));
    report(state, dtype, 2 * p.scored * static_cast<double>(layer.index_heads * layer.index_dim));
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"layer", "ratio", "length", "bf16"})->Unit(benchmark::kMillisecond)->UseRealTime();
  for (const int64_t bf16 : {1, 0})
    for (const int64_t ratio : {0, 4, 128}) {
      bench->Args({0, ratio, 512, bf16});
      for (const int64_t length : {1024, 4096, 65536}) bench->Args({1, ratio, length, bf16});
      bench->Args({2, ratio, 8192, bf16});
    }
}
void selections(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"layer", "ratio", "length", "bf16"})->Unit(benchmark::kMillisecond)->UseRealTime();
  for (const int64_t length : {4096, 16384, 65536}) bench->Args({1, 4, length, 1});
  bench->Args({2, 4, 65536, 1});
}
BENCHMARK(BM_Forward)->Apply(sizes);
BENCHMARK(BM_Backward)->Apply(sizes);
BENCHMARK(BM_Select)->Apply(selections);

}  // namespace
}  // namespace temper
