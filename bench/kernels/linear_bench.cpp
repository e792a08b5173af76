// Our matrix products beside libtorch's, in one run.  Sizes: linear layers of 2,048 tokens with hidden 256 and 512, and a
// large square.   ./dev bench linear

#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>

#include "kernels/linear.h"

namespace temper {
namespace {

struct Problem {
  Tensor x, weight, grad_y, grad_weight;
  double flops;
};

// Arguments: T, O, I, 1 = bf16.
Problem make_problem(const benchmark::State& state) {
  const int64_t T = state.range(0), O = state.range(1), I = state.range(2);
  const at::ScalarType dtype = state.range(3) ? at::kBFloat16 : at::kFloat;
  return {at::randn({T, I}, at::kFloat).to(dtype), at::randn({O, I}, at::kFloat).to(dtype), at::randn({T, O}, at::kFloat).to(dtype), at::zeros({O, I}, at::kFloat),
          2.0 * static_cast<double>(T) * static_cast<double>(O) * static_cast<double>(I)};
}

template <class Body>
void measure(benchmark::State& state, const Body& body) {
  Problem p = make_problem(state);
  for (auto _ : state) body(p);
  state.counters["GFLOP/s"] = benchmark::Counter(p.flops * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void BM_Forward(benchmark::State& state) {
  measure(state, [](Problem& p) { benchmark::DoNotOptimize(kernel<LinearForward>(p.x)(p.x, p.weight, p.x.scalar_type())); });
}
void BM_ForwardTorch(benchmark::State& state) {
  measure(state, [](Problem& p) { benchmark::DoNotOptimize(at::mm(p.x, p.weight.t())); });
}
void BM_GradWeight(benchmark::State& state) {
  measure(state, [](Problem& p) { kernel<LinearGradWeight>(p.x)(p.grad_y, p.x, p.grad_weight, /*add=*/true); });
}
void BM_GradWeightTorch(benchmark::State& state) {
  measure(state, [](Problem& p) { p.grad_weight.add_(at::mm(p.grad_y.t(), p.x)); });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"T", "O", "I", "bf16"})->Unit(benchmark::kMicrosecond)->MeasureProcessCPUTime();
  for (const int64_t bf16 : {0, 1})
    for (const auto& [O, I] : {std::pair<int64_t, int64_t>{64, 256}, {128, 256}, {512, 128}, {512, 512}, {2048, 2048}}) bench->Args({2048, O, I, bf16});
}
BENCHMARK(BM_Forward)->Apply(sizes);
BENCHMARK(BM_ForwardTorch)->Apply(sizes);
BENCHMARK(BM_GradWeight)->Apply(sizes);
BENCHMARK(BM_GradWeightTorch)->Apply(sizes);

}  // namespace
}  // namespace temper
