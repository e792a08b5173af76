#include "kernels/cpu/adamw.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace temper::kernels::cpu {
namespace {

constexpr int64_t kChunk = 32768;   // elements: large enough that handing it to a thread costs nothing beside it

[[gnu::always_inline]] inline uint16_t to_bf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return x != x ? 0x7fc0 : static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// A block of new weights that is still in the first cache when it is rounded.
constexpr int64_t kBlock = 1024;

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
void copy_range(const float* __restrict from, uint16_t* __restrict to, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) to[i] = to_bf16(from[i]);
}

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

void adamw_chunk(const AdamWTensor& t, const AdamWConstants& c, int64_t begin, int64_t end) {
  if (!t.copy) return adamw_range(t, c, begin, end);
  for (int64_t block = begin; block < end; block += kBlock) {
    adamw_range(t, c, block, std::min(block + kBlock, end));
    copy_range(t.w, t.copy, block, std::min(block + kBlock, end));
  }
}

}  // namespace

void adamw(std::span<const AdamWTensor> tensors, const AdamWConstants& constants) {
  struct Chunk {
    const AdamWTensor* tensor;
    int64_t begin, end;
  };
  std::vector<Chunk> chunks;
  for (const AdamWTensor& tensor : tensors)
    for (int64_t begin = 0; begin < tensor.size; begin += kChunk) chunks.push_back({&tensor, begin, std::min(begin + kChunk, tensor.size)});
  at::parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const auto& [tensor, begin, end] = chunks[static_cast<size_t>(i)];
      adamw_chunk(*tensor, constants, begin, end);
    }
  });
}

void copy_bf16(const float* from, uint16_t* to, int64_t begin, int64_t end) { copy_range(from, to, begin, end); }

}  // namespace temper::kernels::cpu
