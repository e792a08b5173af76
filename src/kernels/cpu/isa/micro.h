#pragma once
// The inner loop of all matrix products: a tile of kMicroRows x (NV vectors) in registers.  Only for the sources of cpu/isa/.
//
// Panels: A is [steps][kMicroRows], B is [steps][NV * lanes].  A step is one k, or a pair of them for bf16 operands where
// the instruction set multiplies pairs (`Pair`: two bf16 in 32 bits, k in the low half).

#include "kernels/cpu/isa/vector.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace temper::TEMPER_ISA_NAMESPACE {

struct Pair {
  uint32_t bits;
};

template <class C>
struct PanelOf {
  using Sum = C;
};
template <>
struct PanelOf<Pair> {
  using Sum = float;
};
template <class C>
using PanelSum = typename PanelOf<C>::Sum;

// 8 x 3 vectors fill 32 registers, 4 x 3 fill 16.
inline constexpr int kMicroRows = TEMPER_ISA_BYTES == 64 ? 8 : 4;
inline constexpr int kMicroVectors = 3;
template <class C>
inline constexpr int kMicroColumns = kMicroVectors * kLanes<PanelSum<C>>;

template <class S>
inline void multiply_add(Vec<S>& sum, const S* a, const S* b) { sum += broadcast(*a) * load(b); }
inline void multiply_add(Vec<float>& sum, const Pair* a, const Pair* b) {
#if defined(__AVX512BF16__)
  const __m512i pair = _mm512_set1_epi32(static_cast<int>(a->bits));
  sum = reinterpret_cast<Vec<float>>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(pair),
                                                      reinterpret_cast<__m512bh>(_mm512_loadu_si512(b))));
#else
  for (int lane = 0; lane < kLanes<float>; ++lane)   // for completeness; the products use fp32 panels here
    sum[lane] += to_float(bf16{static_cast<uint16_t>(a->bits)}) * to_float(bf16{static_cast<uint16_t>(b[lane].bits)}) +
                 to_float(bf16{static_cast<uint16_t>(a->bits >> 16)}) * to_float(bf16{static_cast<uint16_t>(b[lane].bits >> 16)});
#endif
}

/// c[i, :] (+)= sum over steps of a[step, i] * b[step, :].   c has rows of `ldc` elements; all kMicroRows rows are written.
/// b_step: elements between the steps of b (the panel's width, at least NV * lanes).
template <int NV, class C>
inline void micro_tile(int64_t steps, const C* a, const C* b, int64_t b_step, PanelSum<C>* c, int64_t ldc, bool add) {
  using S = PanelSum<C>;
  constexpr int L = kLanes<S>;
  Vec<S> sum[kMicroRows][NV];
#pragma GCC unroll 8
  for (int i = 0; i < kMicroRows; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) sum[i][j] = add ? load(c + i * ldc + j * L) : Vec<S>{};
  for (int64_t step = 0; step < steps; ++step, a += kMicroRows, b += b_step) {
#pragma GCC unroll 8
    for (int i = 0; i < kMicroRows; ++i)
#pragma GCC unroll 3
      for (int j = 0; j < NV; ++j) multiply_add(sum[i][j], a + i, b + j * L);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kMicroRows; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) store(c + i * ldc + j * L, sum[i][j]);
}

/// The same with the rows of A where they lie: row i is the kMicroRows pointers' i-th, a step after the other.
template <int NV, class C>
inline void micro_rows(int64_t steps, const C* const* a, const C* b, int64_t b_step, PanelSum<C>* c, int64_t ldc, bool add) {
  using S = PanelSum<C>;
  constexpr int L = kLanes<S>;
  Vec<S> sum[kMicroRows][NV];
#pragma GCC unroll 8
  for (int i = 0; i < kMicroRows; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) sum[i][j] = add ? load(c + i * ldc + j * L) : Vec<S>{};
  for (int64_t step = 0; step < steps; ++step, b += b_step) {
#pragma GCC unroll 8
    for (int i = 0; i < kMicroRows; ++i) {
      C value;
      __builtin_memcpy(&value, a[i] + step, sizeof(C));   // bf16 rows need not lie on 4-byte borders
#pragma GCC unroll 3
      for (int j = 0; j < NV; ++j) multiply_add(sum[i][j], &value, b + j * L);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kMicroRows; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) store(c + i * ldc + j * L, sum[i][j]);
}

/// micro_rows for a panel of `columns` columns, rounded up to whole vectors.
template <class C>
inline void micro_rows_panel(int64_t columns, int64_t steps, const C* const* a, const C* b, int64_t b_step, PanelSum<C>* c, int64_t ldc, bool add) {
  constexpr int L = kLanes<PanelSum<C>>;
  if (columns > 2 * L)
    micro_rows<3>(steps, a, b, b_step, c, ldc, add);
  else if (columns > L)
    micro_rows<2>(steps, a, b, b_step, c, ldc, add);
  else
    micro_rows<1>(steps, a, b, b_step, c, ldc, add);
}

/// micro_tile for a panel of `columns` columns, rounded up to whole vectors.
template <class C>
inline void micro_panel(int64_t columns, int64_t steps, const C* a, const C* b, int64_t b_step, PanelSum<C>* c, int64_t ldc, bool add) {
  constexpr int L = kLanes<PanelSum<C>>;
  if (columns > 2 * L)
    micro_tile<3>(steps, a, b, b_step, c, ldc, add);
  else if (columns > L)
    micro_tile<2>(steps, a, b, b_step, c, ldc, add);
  else
    micro_tile<1>(steps, a, b, b_step, c, ldc, add);
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
