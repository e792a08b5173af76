#pragma once
// Rows of tokens that become columns, one token in each lane.  Only for the sources of cpu/isa/.

#include "kernels/cpu/isa/pack.h"

namespace temper::TEMPER_ISA_NAMESPACE {

/// columns[k * lanes + i] = element k of row i, for k < n; rows from `count` on are zero.  Rows are `stride` apart.
template <class X>
inline void transpose_rows(const X* x, int64_t stride, int64_t count, int64_t n, Accumulate<X>* columns) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  int64_t k = 0;
  if constexpr (sizeof(A) == 4) {
    constexpr int64_t kStep = L * 4 / sizeof(X);   // elements in a vector's bytes
    for (; k + kStep <= n; k += kStep) {
      FullLanes row[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) {
        row[i] = FullLanes{};
        if (i < count) __builtin_memcpy(&row[i], x + i * stride + k, sizeof(row[i]));
      }
      transpose_square(row);
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) {
        if constexpr (sizeof(X) == 4) {
          store(columns + (k + i) * L, __builtin_bit_cast(Vec<float>, row[i]));
        } else {   // each 32-bit element is two of bf16
          store(columns + (k + 2 * i) * L, __builtin_bit_cast(Vec<float>, row[i] << 16));
          store(columns + (k + 2 * i + 1) * L, __builtin_bit_cast(Vec<float>, row[i] & 0xffff0000u));
        }
      }
    }
  }
  for (; k < n; ++k)
    for (int i = 0; i < L; ++i) columns[k * L + i] = i < count ? to_float(x[i * stride + k]) : A{};
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
