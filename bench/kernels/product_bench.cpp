// Our matrix products at the sizes of the models, in per cent of the roof: the rate of a large square product in the same
// run (ours or libtorch's, the better one).  Times are processor time of one thread, the best of several short repeats, so
// other programs on the machine disturb little.        ./dev bench product [v4_12m|v4_100m|pro] [float32]

#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "kernels/grouped_matmul.h"
#include "kernels/linear.h"
#include "tensor/allocator.h"

namespace temper {
namespace {

constexpr double kSecondsEach = 0.15;

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// GFLOP/s of the fastest call.
double best_rate(double flops, const std::function<void()>& call) {
  double best = 1e30;
  call();
  for (double spent = 0; spent < kSecondsEach;) {
    const double start = processor_seconds();
    call();
    const double seconds = processor_seconds() - start;
    best = std::min(best, seconds);
    spent += seconds;
  }
  return flops / best * 1e-9;
}

double roof(at::ScalarType dtype) {
  constexpr int64_t n = 1536;
  const Tensor a = at::randn({n, n}).to(dtype), b = at::randn({n, n}).to(dtype);
  const double flops = 2.0 * n * n * n;
  return std::max(best_rate(flops, [&] { at::matmul(a, b); }), best_rate(flops, [&] { kernel<LinearForward>(a)(a, b, dtype); }));
}

/// groups > 1: the experts' products, `rows` rows for each.
struct Layer {
  const char *model, *name;
  int64_t rows, out, in, groups;
};
constexpr Layer kLayers[] = {
    {"v4_12m", "wq_a", 2048, 128, 256, 1},    {"v4_12m", "wq_b", 2048, 512, 128, 1},     {"v4_12m", "wkv", 2048, 64, 256, 1},
    {"v4_12m", "wo_b", 2048, 256, 128, 1},    {"v4_12m", "shared w13", 2048, 256, 256, 1}, {"v4_12m", "experts w13", 512, 256, 256, 16},
    {"v4_12m", "experts w2", 512, 256, 128, 16}, {"v4_12m", "head", 656, 6400, 256, 1},
    {"v4_100m", "wq_a", 2048, 256, 512, 1},   {"v4_100m", "wq_b", 2048, 2048, 256, 1},   {"v4_100m", "wkv", 2048, 128, 512, 1},
    {"v4_100m", "wo_b", 2048, 512, 512, 1},   {"v4_100m", "shared w13", 2048, 384, 512, 1}, {"v4_100m", "shared w2", 2048, 512, 192, 1},
    {"v4_100m", "experts w13", 384, 384, 512, 32}, {"v4_100m", "experts w2", 384, 512, 192, 32}, {"v4_100m", "head", 256, 16384, 512, 1},
    {"pro", "wkv", 1024, 512, 7168, 1},       {"pro", "wq_a", 1024, 1536, 7168, 1},      {"pro", "wo_b slice", 1024, 7168, 1024, 1},
    {"pro", "experts w13", 96, 6144, 7168, 2}, {"pro", "experts w2", 96, 7168, 3072, 2},
};

void measure(const Layer& layer, at::ScalarType dtype, double roof) {
  const auto& [model, name, rows, out, in, groups] = layer;
  const int64_t n = rows * groups;
  const Tensor x = at::randn({n, in}).to(dtype), weight = at::randn({groups, out, in}).to(dtype), grad_y = at::randn({n, out}).to(dtype);
  const Tensor grad_weight = at::zeros({groups, out, in});
  std::vector<int64_t> offsets;
  for (int64_t g = 0; g <= groups; ++g) offsets.push_back(g * rows);
  const double flops = 2.0 * static_cast<double>(n) * static_cast<double>(out) * static_cast<double>(in);
  const double forward = best_rate(flops, [&] { kernel<GroupedMatmul>(x)(x, weight, offsets, dtype); });
  const double grad_input = best_rate(flops, [&] { kernel<GroupedMatmulGradInput>(x)(grad_y, weight, offsets, dtype); });
  const double grad_w = best_rate(flops, [&] { kernel<GroupedMatmulGradWeight>(x)(grad_y, x, offsets, grad_weight, /*add=*/true); });
  fmt::print("{:8} {:12} {:3} x {:5} x {:5} x {:5}   {:5.1f} {:5.1f} {:5.1f}\n", model, name, groups, rows, out, in, 100 * forward / roof, 100 * grad_input / roof,
             100 * grad_w / roof);
  std::fflush(stdout);
}

}  // namespace
}  // namespace temper

int main(int argc, char** argv) {
  using namespace temper;
  install_caching_allocator();
  const auto given = [&](const char* word) { return std::any_of(argv + 1, argv + argc, [&](const char* a) { return std::strcmp(a, word) == 0; }); };
  const bool one_model = given("v4_12m") || given("v4_100m") || given("pro");
  const at::ScalarType dtype = given("float32") ? at::kFloat : at::kBFloat16;
  const double peak = roof(dtype);
  fmt::print("roof {:.0f} GFLOP/s; per cent of it\nmodel    layer        groups x rows x out x in          forward, grad of input, grad of weight\n", peak);
  for (const Layer& layer : kLayers)
    if (!one_model || given(layer.model)) measure(layer, dtype, peak);
  fmt::print("roof {:.0f} GFLOP/s at the end\n", roof(dtype));
}
