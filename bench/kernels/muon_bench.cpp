// Muon's update of the matrices of v4_12m, v4_100m and one Pro layer slice: time of one matrix, and the rate of the printed algorithm's products
// (10 iterations of x x^T, its square and their product with x) in per cent of the roof, a large product in the same run.  More than 100 is
// possible, since products that are symmetric are computed by half and two iterations meet the matrix once.
// Wall time, the best of several repeats.        ./dev bench muon [float32]

#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

#include "kernels/linear.h"
#include "kernels/muon.h"
#include "tensor/allocator.h"

namespace temper {
namespace {

double best_seconds(int repeats, const std::function<void()>& call) {
  double best = 1e30;
  for (int i = 0; i <= repeats; ++i) {   // the first one warms up
    const auto start = std::chrono::steady_clock::now();
    call();
    if (i > 0) best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

struct Matrices {
  const char* name;
  int64_t count, rows, cols;
};
constexpr Matrices kMatrices[] = {{"v4_12m experts", 96, 128, 256}, {"v4_100m experts w1, w3", 96, 192, 512}, {"v4_100m experts w2", 96, 512, 192},
                                  {"v4_100m wq_b", 8, 2048, 256},   {"v4_100m wo_b", 8, 512, 512},            {"pro expert, 1/2 each way", 1, 1536, 3584}};

void measure(const Matrices& m, at::ScalarType dtype, double roof) {
  std::vector<MuonMatrix> matrices;
  for (int64_t i = 0; i < m.count; ++i) {
    const Tensor w = at::randn({m.rows, m.cols});
    matrices.push_back({w, at::zeros_like(w), at::randn({m.rows, m.cols})});
  }
  const double seconds = best_seconds(5, [&] {
    kernel<MuonUpdate>(matrices[0].w)(matrices, {.lr = 1e-3, .momentum = 0.95, .weight_decay = 0.1, .update_rms = 0.18, .dtype = dtype});
  });
  const double p = static_cast<double>(std::min(m.rows, m.cols)), q = static_cast<double>(std::max(m.rows, m.cols)), n = static_cast<double>(m.count);
  const double flops = 10 * (4 * p * p * q + 2 * p * p * p) * n;
  fmt::print("{:26} {:3} x {:4} x {:4}   {:9.3f} ms each, {:6.1f} per cent\n", m.name, m.count, m.rows, m.cols, seconds / n * 1e3, 100 * flops / seconds / roof);
}

}  // namespace
}  // namespace temper

int main(int argc, char** argv) {
  using namespace temper;
  install_caching_allocator();
  const bool float32 = std::any_of(argv + 1, argv + argc, [](const char* a) { return std::strcmp(a, "float32") == 0; });
  const at::ScalarType dtype = float32 ? at::kFloat : at::kBFloat16;
  constexpr int64_t n = 1536;
  const Tensor a = at::randn({n, n}).to(dtype), b = at::randn({n, n}).to(dtype);
  const double roof = 2.0 * n * n * n / best_seconds(20, [&] { kernel<LinearForward>(a)(a, b, dtype); });
  fmt::print("{} threads, roof {:.0f} GFLOP/s\n", at::get_num_threads(), roof * 1e-9);
  for (const Matrices& m : kMatrices) measure(m, dtype, roof);
}
