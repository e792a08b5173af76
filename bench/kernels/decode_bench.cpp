// The products of one decoding step (v4_100m: 8 tokens, each of 8 layers reads other weights), beside plain reading of as many
// bytes by the same threads: what is left is what the products lose.        ./dev bench decode [tokens] [float32 | compact]

#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "base/rng.h"
#include "kernels/compact_weights.h"
#include "kernels/grouped_matmul.h"
#include "kernels/linear.h"
#include "kernels/team.h"
#include "tensor/allocator.h"

namespace temper {
namespace {

constexpr int64_t kLayers = 8, kHidden = 512, kExperts = 32, kTopK = 6, kWidth = 192, kVocabulary = 16384;

double best_seconds(const std::function<void()>& call) {
  double best = 1e30;
  for (int repeat = 0; repeat < 60; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    call();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// Rows of each expert when each token chooses top_k of them.
std::vector<int64_t> random_offsets(int64_t tokens, uint64_t layer) {
  std::vector<int64_t> offsets(kExperts + 1);
  const RandomStream stream(0, "bench/decode", layer);
  for (int64_t t = 0, draw = 0; t < tokens; ++t) {
    std::vector<bool> chosen(kExperts);
    for (int64_t k = 0; k < kTopK;) {
      const size_t e = stream.below(static_cast<uint64_t>(draw++), kExperts);
      if (chosen[e]) continue;
      chosen[e] = true;
      ++offsets[e + 1];
      ++k;
    }
  }
  for (size_t e = 0; e < kExperts; ++e) offsets[e + 1] += offsets[e];
  return offsets;
}

// Adds up all elements as integers, as fast as memory gives them.
void read_all(const Tensor& weight) {
  constexpr int64_t kChains = 8;   // that do not wait for each other
  typedef uint64_t Words __attribute__((vector_size(64)));
  const int64_t n = static_cast<int64_t>(weight.nbytes() / sizeof(Words)) / kChains * kChains;
  const Words* words = static_cast<const Words*>(weight.const_data_ptr());
  const int64_t parts = Team::most_parts();
  std::atomic<uint64_t> total{0};
  Team::run(parts, [&](int64_t part) {
    Words sum[kChains] = {};
    for (int64_t i = n / kChains * part / parts; i < n / kChains * (part + 1) / parts; ++i)
      for (int64_t j = 0; j < kChains; ++j) sum[j] += words[i * kChains + j];
    for (const Words& chain : sum) total += chain[0];
  });
  benchmark::DoNotOptimize(total.load());
}

void run(int64_t tokens, at::ScalarType dtype, bool with_compact) {
  const auto make = [&](at::IntArrayRef shape) { return at::randn(shape).to(dtype); };
  struct Layer {
    Tensor wq_b, w13, w2;
    std::vector<int64_t> offsets;
  };
  std::vector<Layer> layers;
  for (int64_t i = 0; i < kLayers; ++i)
    layers.push_back({make({2048, 256}), make({kExperts, 2 * kWidth, kHidden}), make({kExperts, kHidden, kWidth}), random_offsets(tokens, static_cast<uint64_t>(i))});
  const Tensor head = make({kVocabulary, kHidden}), x = make({tokens, kHidden}), narrow = make({tokens, 256}), rows = make({tokens * kTopK, kHidden}),
               hidden = make({tokens * kTopK, kWidth});
  int64_t chosen = 0;
  for (const Layer& layer : layers)
    for (size_t e = 0; e < kExperts; ++e) chosen += layer.offsets[e + 1] > layer.offsets[e];
  const double share = static_cast<double>(chosen) / static_cast<double>(kLayers * kExperts);
  const double plain_bytes = dtype == at::kBFloat16 ? 2 : 4, bytes = with_compact && dtype == at::kBFloat16 ? 1.5 : plain_bytes;
  CompactWeights compact;
  if (with_compact) {
    const auto start = std::chrono::steady_clock::now();
    for (const Layer& layer : layers)
      for (const Tensor& weight : {layer.wq_b, layer.w13, layer.w2}) compact.add(weight);
    compact.add(head);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{:12} {:8.1f} us  {:6.1f} MB written\n", "compacting", seconds * 1e6, static_cast<double>(compact.bytes()) * 1e-6);
  }
  const CompactWeights::InUse in_use(compact);
  const auto print = [&](const char* name, double elements, double bytes, const std::function<void()>& call) {
    const double seconds = best_seconds(call);
    fmt::print("{:12} {:8.1f} us  {:6.1f} MB  {:6.1f} GB/s\n", name, seconds * 1e6, elements * bytes * 1e-6, elements * bytes / seconds * 1e-9);
  };
  print("reading", kLayers * static_cast<double>(layers[0].w13.numel()), plain_bytes, [&] { for (const Layer& layer : layers) read_all(layer.w13); });
  print("experts w13", kLayers * static_cast<double>(layers[0].w13.numel()) * share, bytes,
        [&] { for (const Layer& layer : layers) kernel<GroupedMatmul>(rows)(rows, layer.w13, layer.offsets, dtype); });
  print("experts w2", kLayers * static_cast<double>(layers[0].w2.numel()) * share, bytes,
        [&] { for (const Layer& layer : layers) kernel<GroupedMatmul>(hidden)(hidden, layer.w2, layer.offsets, dtype); });
  print("wq_b", kLayers * static_cast<double>(layers[0].wq_b.numel()), bytes, [&] { for (const Layer& layer : layers) kernel<LinearForward>(narrow)(narrow, layer.wq_b, dtype); });
  print("head", static_cast<double>(head.numel()), bytes, [&] { kernel<LinearForward>(x)(x, head, at::kFloat); });
  print("all", static_cast<double>(head.numel()) + kLayers * (static_cast<double>(layers[0].wq_b.numel()) + share * static_cast<double>(layers[0].w13.numel() + layers[0].w2.numel())), bytes, [&] {
    for (const Layer& layer : layers) {
      kernel<LinearForward>(narrow)(narrow, layer.wq_b, dtype);
      kernel<GroupedMatmul>(rows)(rows, layer.w13, layer.offsets, dtype);
      kernel<GroupedMatmul>(hidden)(hidden, layer.w2, layer.offsets, dtype);
    }
    kernel<LinearForward>(x)(x, head, at::kFloat);
  });
}

}  // namespace
}  // namespace temper

int main(int argc, char** argv) {
  temper::install_caching_allocator();
  int64_t tokens = 8;
  at::ScalarType dtype = at::kBFloat16;
  bool compact = false;
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "float32") == 0) dtype = at::kFloat;
    else if (std::strcmp(argv[i], "compact") == 0) compact = true;
    else tokens = std::atoll(argv[i]);
  temper::Team::stand_by([&] { temper::run(tokens, dtype, compact); });
}
