// Hyper-connections, norms, rotation, SwiGLU, dispatch and combine in bf16: bytes that must be read and written at least, over the
// time, beside the rate of a copy of the same size in the same run (1 = as fast as a copy).   ./dev bench elementwise
// Sizes: 2,048 tokens of v4_12m (hidden 256) and v4_100m (hidden 512), 256 tokens of Pro (hidden 7,168).
// hc_pre and hc_pre_backward multiply 24 rows with the streams: there the arithmetic (fp32) is the limit, not the memory.

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

#include "kernels/hyper_connection.h"
#include "kernels/moe.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"

namespace temper {
namespace {

constexpr int64_t M = 4, C = 24;

Tensor bf16(std::initializer_list<int64_t> shape) { return at::randn(shape, at::kFloat).to(at::kBFloat16); }

// Bytes read and written in a second by a copy of tensors that hold `bytes` together.
double copy_rate(double bytes) {
  const Tensor from = at::zeros({static_cast<int64_t>(bytes / 4)}, at::kBFloat16);
  Tensor to = at::empty_like(from);
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    to.copy_(from);
    best = std::max(best, bytes / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

template <class Body>
void measure(benchmark::State& state, double bytes, const Body& body) {
  const double copy = copy_rate(bytes);
  for (auto _ : state) body();
  const double done = bytes * static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(done * 1e-9, benchmark::Counter::kIsRate);
  state.counters["of_copy"] = benchmark::Counter(done / copy, benchmark::Counter::kIsRate);
}

struct Site {
  Tensor streams, out, grad_next;
  HcTensors weights;
  HcConfig config;
  HcPre pre;
  double row;   // bytes of [T, D]
};
Site make_site(const benchmark::State& state) {
  const int64_t T = state.range(0), D = state.range(1);
  Site s{.streams = bf16({T, M, D}), .out = bf16({T, D}), .grad_next = bf16({T, M, D}),
         .weights = {at::randn({C, M * D}, at::kFloat) * 0.02, at::randn({C}, at::kFloat), at::randn({3}, at::kFloat)}, .config = {}, .pre = {},
         .row = 2.0 * static_cast<double>(T * D)};
  s.pre = kernel<HcPreKernel>(s.streams)(s.streams, s.weights, s.config, false);
  return s;
}

void BM_HcPre(benchmark::State& state) {
  const Site s = make_site(state);
  measure(state, (M + 1) * s.row, [&] { benchmark::DoNotOptimize(kernel<HcPreKernel>(s.streams)(s.streams, s.weights, s.config, false)); });
}
void BM_HcPost(benchmark::State& state) {
  const Site s = make_site(state);
  measure(state, (2 * M + 1) * s.row, [&] { benchmark::DoNotOptimize(kernel<HcPostKernel>(s.out)(s.streams, s.out, s.pre.saved.coefficients)); });
}
void BM_HcPostBackward(benchmark::State& state) {
  const Site s = make_site(state);
  measure(state, (2 * M + 2) * s.row,
          [&] { benchmark::DoNotOptimize(kernel<HcPostBackwardKernel>(s.out)(s.grad_next, s.streams, s.out, s.pre.saved.coefficients)); });
}
void BM_HcPreBackward(benchmark::State& state) {
  const Site s = make_site(state);
  const Tensor grad = at::zeros({state.range(0), C}, at::kFloat) + 0.1;
  measure(state, (3 * M + 1) * s.row, [&] {
    benchmark::DoNotOptimize(kernel<HcPreBackwardKernel>(s.out)({.grad_y = s.out, .grad_streams = s.grad_next, .grad_coefficients = grad, .streams = s.streams,
                                                                 .saved = s.pre.saved, .weights = s.weights, .config = s.config, .weight_grads = true}));
  });
}
void BM_RmsNorm(benchmark::State& state) {
  const Site s = make_site(state);
  const Tensor weight = at::randn({state.range(1)}, at::kFloat);
  measure(state, 2 * s.row, [&] { benchmark::DoNotOptimize(kernel<RmsNorm>(s.out)(s.out, weight, 1e-6)); });
}
void BM_RmsNormBackward(benchmark::State& state) {
  const Site s = make_site(state);
  const Tensor weight = at::randn({state.range(1)}, at::kFloat), grad = bf16({state.range(0), state.range(1)});
  const auto [y, rstd] = kernel<RmsNorm>(s.out)(s.out, weight, 1e-6);
  Tensor grad_weight = at::zeros({state.range(1)}, at::kFloat);
  measure(state, 3 * s.row, [&] { benchmark::DoNotOptimize(kernel<RmsNormBackward>(s.out)(grad, s.out, weight, rstd, grad_weight)); });
}
// Heads of 64 with 16 turned dims: H * Dh is twice the hidden size here.
void BM_NormRope(benchmark::State& state) {
  const int64_t T = state.range(0), H = 2 * state.range(1) / 64;
  const Tensor x = bf16({T, H, 64});
  const Rotation rotation{at::randn({T, 8}, at::kFloat), at::randn({T, 8}, at::kFloat)};
  measure(state, 4.0 * static_cast<double>(x.numel()), [&] { benchmark::DoNotOptimize(kernel<NormRope>(x)(x, rotation, 1e-6)); });
}
// Half the hidden size wide, as experts are.
void BM_Swiglu(benchmark::State& state) {
  const Site s = make_site(state);
  const Tensor weights = at::randn({state.range(0)}, at::kFloat);
  measure(state, 1.5 * s.row, [&] { benchmark::DoNotOptimize(kernel<SwigluKernel>(s.out)(s.out, weights, 10)); });
}
void BM_SwigluBackward(benchmark::State& state) {
  const Site s = make_site(state);
  const Tensor weights = at::randn({state.range(0)}, at::kFloat), grad = bf16({state.range(0), state.range(1) / 2});
  measure(state, 2.5 * s.row, [&] { benchmark::DoNotOptimize(kernel<SwigluBackwardKernel>(s.out)(grad, s.out, weights, 10)); });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"T", "D"})->Unit(benchmark::kMicrosecond)->UseRealTime()->Args({2048, 256})->Args({2048, 512})->Args({256, 7168});
}
BENCHMARK(BM_HcPre)->Apply(sizes);
BENCHMARK(BM_HcPost)->Apply(sizes);
BENCHMARK(BM_HcPostBackward)->Apply(sizes);
BENCHMARK(BM_HcPreBackward)->Apply(sizes);
BENCHMARK(BM_RmsNorm)->Apply(sizes);
BENCHMARK(BM_RmsNormBackward)->Apply(sizes);
BENCHMARK(BM_NormRope)->Apply(sizes);
BENCHMARK(BM_Swiglu)->Apply(sizes);
BENCHMARK(BM_SwigluBackward)->Apply(sizes);

}  // namespace
}  // namespace temper
