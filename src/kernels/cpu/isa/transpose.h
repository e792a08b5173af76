#pragma once
// Rows of tokens that become columns, one token in each lane, and back.  Only for the sources of cpu/isa/.

#include "kernels/cpu/isa/pack.h"

namespace temper::TEMPER_ISA_NAMESPACE {

// Calls body(first) for pieces of `size` that cover [0, n), the last one beside the end, where it may overlap; -> how much they cover: n, or 0
// if n is smaller than a piece.
template <class Body>
inline int64_t cover(int64_t n, int64_t size, const Body& body) {
  if (n < size) return 0;
  int64_t at = 0;
  for (; at + size <= n; at += size) body(at);
  if (at < n) body(n - size);
  return n;
}

/// columns[k * lanes + i] = element k of row i, for k < n; rows from `count` on are zero.  Rows are `stride` apart.
template <class X>
inline void transpose_rows(const X* x, int64_t stride, int64_t count, int64_t n, Accumulate<X>* columns) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  int64_t k = 0;
  if constexpr (sizeof(A) == 4) {
    k = cover(n, L * 4 / static_cast<int64_t>(sizeof(X)), [&](int64_t first) {   // elements in a vector's bytes
      FullLanes row[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) {
        row[i] = FullLanes{};
        if (i < count) __builtin_memcpy(&row[i], x + i * stride + first, sizeof(row[i]));
      }
      transpose_square(row);
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) {
        if constexpr (sizeof(X) == 4) {
          store(columns + (first + i) * L, __builtin_bit_cast(Vec<float>, row[i]));
        } else {   // each 32-bit element is two of bf16
          store(columns + (first + 2 * i) * L, __builtin_bit_cast(Vec<float>, row[i] << 16));
          store(columns + (first + 2 * i + 1) * L, __builtin_bit_cast(Vec<float>, row[i] & 0xffff0000u));
        }
      }
    });
  }
  for (; k < n; ++k)
    for (int i = 0; i < L; ++i) columns[k * L + i] = i < count ? to_float(x[i * stride + k]) : A{};
}

/// The inverse: element k of row i = columns[k * lanes + i], for k < n and i < count.
template <class A>
inline void transpose_columns(const A* columns, int64_t n, int64_t count, int64_t stride, A* rows) {
  constexpr int L = kLanes<A>;
  int64_t k = 0;
  if constexpr (sizeof(A) == 4) {
    k = cover(n, L, [&](int64_t first) {
      Vec<A> column[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) column[i] = load(columns + (first + i) * L);
      transpose_square(column);
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i)
        if (i < count) store(rows + i * stride + first, column[i]);
    });
  }
  for (; k < n; ++k)
    for (int64_t i = 0; i < count; ++i) rows[i * stride + k] = columns[k * L + i];
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
