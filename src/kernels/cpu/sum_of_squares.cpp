#include "kernels/cpu/sum_of_squares.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

namespace temper::kernels::cpu {
namespace {

constexpr int64_t kChunk = 16384;   // elements whose partial sum one thread makes
constexpr int kLanes = 16;          // independent sums inside a chunk, so that the compiler may use vectors

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
double chunk_sum(const float* __restrict x, int64_t size) {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) {
      const double value = x[i + lane];
      lanes[lane] += value * value;
    }
  for (int lane = 0; i < size; ++i, ++lane) lanes[lane] += static_cast<double>(x[i]) * x[i];
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

double sum_of_squares(const float* x, int64_t size) {
  const int64_t n_chunks = (size + kChunk - 1) / kChunk;
  std::vector<double> partial(static_cast<size_t>(n_chunks));
  at::parallel_for(0, n_chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c)
      partial[static_cast<size_t>(c)] = chunk_sum(x + c * kChunk, std::min(kChunk, size - c * kChunk));
  });
  double sum = 0;
  for (const double p : partial) sum += p;
  return sum;
}

}  // namespace temper::kernels::cpu
