#include "kernels/cpu/adamw.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace temper::kernels::cpu {
namespace {

constexpr int64_t kChunk = 32768;   // elements: large enough that handing it to a thread costs nothing beside it

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
void adamw_range(const AdamWTensor& t, const AdamWConstants& c, int64_t begin, int64_t end) {
  float* __restrict w = t.w;
  float* __restrict m = t.m;
  float* __restrict v = t.v;
  const float* __restrict g = t.g;
  const float grad_scale = t.grad_scale, keep = t.keep, step_size = t.step_size, inverse_root = t.inverse_root_correction;
  const float beta1 = c.beta1, one_minus_beta1 = c.one_minus_beta1, beta2 = c.beta2, one_minus_beta2 = c.one_minus_beta2,
              epsilon = c.epsilon;
  for (int64_t i = begin; i < end; ++i) {
    const float grad = g[i] * grad_scale;
    const float mean = beta1 * m[i] + one_minus_beta1 * grad;
    const float square = beta2 * v[i] + one_minus_beta2 * grad * grad;
    m[i] = mean;
    v[i] = square;
    w[i] = keep * w[i] - step_size * mean / (std::sqrt(square) * inverse_root + epsilon);
  }
}

struct Chunk {
  int64_t tensor, begin, end;
};

}  // namespace

void adamw(std::span<const AdamWTensor> tensors, const AdamWConstants& constants) {
  std::vector<Chunk> chunks;
  for (int64_t t = 0; t < static_cast<int64_t>(tensors.size()); ++t)
    for (int64_t begin = 0; begin < tensors[t].size; begin += kChunk)
      chunks.push_back({t, begin, std::min(begin + kChunk, tensors[t].size)});
  at::parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const Chunk& chunk = chunks[static_cast<size_t>(i)];
      adamw_range(tensors[static_cast<size_t>(chunk.tensor)], constants, chunk.begin, chunk.end);
    }
  });
}

}  // namespace temper::kernels::cpu
