// Our matrix products at the sizes of the models, in per cent of the multipliers' limit: a loop of nothing but multiply-adds on registers
// (of bf16 pairs, where the instruction set has them), sampled between the calls.  Times are processor time of one thread, the best
// of several short calls, so other programs on the machine disturb little.
//     ./dev bench product [v4_12m|v4_100m|pro|large|few] [float32|bf16] [plain|avx2|avx512|avx512bf16]

#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/multiplier_limit.h"
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

// Best rate of the multipliers so far, GFLOP/s.
class Limit {
 public:
  explicit Limit(bool pairs) : pairs_(pairs) {}
  void sample() {
    constexpr int64_t kRounds = 10000;
    double flops = 0;
    const double start = processor_seconds();
    if (pairs_) TEMPER_ISA_PICK(multiply_pairs)(kRounds, flops);
    if (flops == 0) TEMPER_ISA_PICK(multiply_floats)(kRounds, flops);
    best_ = std::max(best_, flops / (processor_seconds() - start) * 1e-9);
  }
  double best() const { return best_; }

 private:
  const bool pairs_;
  double best_ = 0;
};

/// GFLOP/s of the fastest call.
double best_rate(double flops, Limit& limit, const std::function<void()>& call) {
  double best = 1e30;
  call();
  for (double spent = 0; spent < kSecondsEach;) {
    limit.sample();
    const double start = processor_seconds();
    call();
    const double seconds = processor_seconds() - start;
    best = std::min(best, seconds);
    spent += seconds;
  }
  return flops / best * 1e-9;
}

/// groups > 1: the experts' products, `rows` rows for each.
struct Layer {
  const char *model, *name;
  int64_t rows, out, in, groups;
};
constexpr Layer kLayers[] = {
    {"large", "square", 1536, 1536, 1536, 1}, {"few", "experts w13", 12, 256, 256, 16},  {"few", "experts w13", 40, 384, 512, 32},
    {"v4_12m", "wq_a", 2048, 128, 256, 1},    {"v4_12m", "wq_b", 2048, 512, 128, 1},     {"v4_12m", "wkv", 2048, 64, 256, 1},
    {"v4_12m", "wo_b", 2048, 256, 128, 1},    {"v4_12m", "shared w13", 2048, 256, 256, 1}, {"v4_12m", "experts w13", 512, 256, 256, 16},
    {"v4_12m", "experts w2", 512, 256, 128, 16}, {"v4_12m", "head", 656, 6400, 256, 1},
    {"v4_100m", "wq_a", 2048, 256, 512, 1},   {"v4_100m", "wq_b", 2048, 2048, 256, 1},   {"v4_100m", "wkv", 2048, 128, 512, 1},
    {"v4_100m", "wo_b", 2048, 512, 512, 1},   {"v4_100m", "shared w13", 2048, 384, 512, 1}, {"v4_100m", "shared w2", 2048, 512, 192, 1},
    {"v4_100m", "experts w13", 384, 384, 512, 32}, {"v4_100m", "experts w2", 384, 512, 192, 32}, {"v4_100m", "head", 256, 16384, 512, 1},
    {"pro", "wkv", 1024, 512, 7168, 1},       {"pro", "wq_a", 1024, 1536, 7168, 1},      {"pro", "wo_b slice", 1024, 7168, 1024, 1},
    {"pro", "experts w13", 96, 6144, 7168, 2}, {"pro", "experts w2", 96, 7168, 3072, 2},
};

void measure(const Layer& layer, at::ScalarType dtype) {
  const auto& [model, name, rows, out, in, groups] = layer;
  const int64_t n = rows * groups;
  const Tensor x = at::randn({n, in}).to(dtype), weight = at::randn({groups, out, in}).to(dtype), grad_y = at::randn({n, out}).to(dtype);
  const Tensor grad_weight = at::zeros({groups, out, in});
  std::vector<int64_t> offsets;
  for (int64_t g = 0; g <= groups; ++g) offsets.push_back(g * rows);
  const double flops = 2.0 * static_cast<double>(n) * static_cast<double>(out) * static_cast<double>(in);
  Limit limit(dtype == at::kBFloat16);
  const double forward = best_rate(flops, limit, [&] { kernel<GroupedMatmul>(x)(x, weight, offsets, dtype); });
  const double grad_input = best_rate(flops, limit, [&] { kernel<GroupedMatmulGradInput>(x)(grad_y, weight, offsets, dtype); });
  const double grad_w = best_rate(flops, limit, [&] { kernel<GroupedMatmulGradWeight>(x)(grad_y, x, offsets, grad_weight, /*add=*/true); });
  const double per_cent = 100 / limit.best();
  fmt::print("{:8} {:12} {:3} x {:5} x {:5} x {:5}   {:5.1f} {:5.1f} {:5.1f}   {:5.0f}\n", model, name, groups, rows, out, in, forward * per_cent, grad_input * per_cent,
             grad_w * per_cent, limit.best());
  std::fflush(stdout);
}

}  // namespace
}  // namespace temper

int main(int argc, char** argv) {
  using namespace temper;
  install_caching_allocator();
  at::set_num_threads(1);
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto given = [&](const std::string& word) { return std::find(words.begin(), words.end(), word) != words.end(); };
  const bool one_model = given("v4_12m") || given("v4_100m") || given("pro") || given("large") || given("few");
  std::vector<Isa> isas;
  for (const Isa named : available_isas())
    if (given(isa_name(named))) isas.push_back(named);
  if (isas.empty()) isas.push_back(isa());
  for (const Isa wanted : isas)
    for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
      const char* const name = dtype == at::kFloat ? "float32" : "bf16";
      if ((given("float32") || given("bf16")) && !given(name)) continue;
      const ForceIsa forced(wanted);
      fmt::print("{} {}: per cent of the multipliers' limit\nmodel    layer        groups x rows x out x in          forward, grad of input, grad of weight; limit in GFLOP/s\n",
                 isa_name(wanted), name);
      for (const Layer& layer : kLayers)
        if (!one_model || given(layer.model)) measure(layer, dtype);
    }
}
