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

std::vector<double> sums_of_squares(std::span<const std::span<const float>> arrays) {
  struct Chunk {
    size_t array;
    const float* begin;
    int64_t size;
  };
  std::vector<Chunk> chunks;
  for (size_t a = 0; a < arrays.size(); ++a)
    for (int64_t at = 0, size = static_cast<int64_t>(arrays[a].size()); at < size; at += kChunk)
      chunks.push_back({a, arrays[a].data() + at, std::min(kChunk, size - at)});
  std::vector<double> partial(chunks.size());
  at::parallel_for(0, static_cast<int64_t>(chunks.size()), 4, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) partial[static_cast<size_t>(c)] = chunk_sum(chunks[static_cast<size_t>(c)].begin, chunks[static_cast<size_t>(c)].size);
  });
  std::vector<double> sums(arrays.size(), 0.0);
  for (size_t c = 0; c < chunks.size(); ++c) sums[chunks[c].array] += partial[c];
  return sums;
}

}  // namespace temper::kernels::cpu
