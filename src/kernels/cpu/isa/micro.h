#pragma once
// The inner loop of all matrix products: a tile of kMicroRows x (NV vectors) in registers.  Only for the sources of cpu/isa/.
//
// A step is one k, or a pair of them for bf16 operands where the instruction set multiplies pairs (`Pair`: two bf16 in 32
// bits, k in the low half).  B comes packed, [steps][NV * lanes]; rows of A lie where they are, or packed as well.

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

#if defined(__AVX512F__)
#define TEMPER_TILE_INLINE [[gnu::always_inline]] inline
#else
#define TEMPER_TILE_INLINE [[gnu::noinline]]
#endif

/// A vector of b that stays in a register for all rows of a tile.  With 16 registers the compiler would rather keep constants of the code behind the
/// loop, and read b again for each row.
template <class S>
inline Vec<S> load_b(const S* b) {
  Vec<S> v = load(b);
#if defined(__x86_64__) && !defined(__AVX512F__)
  asm("" : "+x"(v));
#endif
  return v;
}
inline FullLanes load_b(const Pair* b) {
  FullLanes v;
  __builtin_memcpy(&v, b, sizeof(v));
  return v;
}

template <class S>
inline void multiply_add(Vec<S>& sum, const S* a, Vec<S> b) { sum += broadcast(*a) * b; }
inline void multiply_add(Vec<float>& sum, const Pair* a, FullLanes b) {
#if defined(__AVX512BF16__)
  const __m512i pair = _mm512_set1_epi32(static_cast<int>(a->bits));
  sum = reinterpret_cast<Vec<float>>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(pair), reinterpret_cast<__m512bh>(b)));
#else
  for (int lane = 0; lane < kLanes<float>; ++lane)   // for completeness; the products use fp32 panels here
    sum[lane] += to_float(bf16{static_cast<uint16_t>(a->bits)}) * to_float(bf16{static_cast<uint16_t>(b[lane])}) +
                 to_float(bf16{static_cast<uint16_t>(a->bits >> 16)}) * to_float(bf16{static_cast<uint16_t>(b[lane] >> 16)});
#endif
}

/// Rows of A where they lie: row i is the i-th pointer's, a step after the other.
template <class C>
struct RowsInPlace {
  const C* const* rows;
  C at(int64_t step, int i) const {
    C value;
    __builtin_memcpy(&value, rows[i] + step, sizeof(C));   // bf16 rows need not lie on 4-byte borders
    return value;
  }
};

/// Rows of A packed, [steps][kPackedRows<C>]: whole vectors, so that packing is as quick as that of B; a tile uses kMicroRows of them.
template <class C>
inline constexpr int kPackedRows = kLanes<PanelSum<C>> > kMicroRows ? kLanes<PanelSum<C>> : kMicroRows;
template <class C>
struct RowsPacked {
  const C* panel;
  C at(int64_t step, int i) const { return panel[step * kPackedRows<C> + i]; }
};

/// Where a tile's sums go.  X: float, double or bf16 whose sums are S.
template <class X>
struct TileTarget {
  X* c;                    // rows of c_row elements
  int64_t c_row;
  int64_t rows, columns;   // that exist: at most kMicroRows and NV * lanes
  bool add;
};

template <int NV, class S, class X>
inline void write_tile(Vec<S> (&sum)[kMicroRows][NV], const TileTarget<X>& to) {
  constexpr int L = kLanes<S>;
  if (to.rows == kMicroRows && to.columns == NV * L) {
#pragma GCC unroll 8
    for (int i = 0; i < kMicroRows; ++i)
#pragma GCC unroll 3
      for (int j = 0; j < NV; ++j) {
        X* c = to.c + i * to.c_row + j * L;
        store(c, to.add ? load(c) + sum[i][j] : sum[i][j]);
      }
    return;
  }
  S tile[kMicroRows][NV * L];
#pragma GCC unroll 8
  for (int i = 0; i < kMicroRows; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) store(tile[i] + j * L, sum[i][j]);
  for (int64_t i = 0; i < to.rows; ++i) {
    X* c = to.c + i * to.c_row;
    for (int64_t j = 0; j < to.columns; ++j) c[j] = from_float<X>((to.add ? to_float(c[j]) : S{0}) + tile[i][j]);
  }
}

/// sum[i][:] = sum over steps of a[i, step] * b[step, :], for NV of the WIDTH vectors of a panel.
/// With 16 registers it is a function of its own: inlined, the constants of the code around it would take registers from the sums.
template <int NV, int WIDTH, class C, class A>
TEMPER_TILE_INLINE void sum_tile(int64_t steps, const A& a, const C* b, Vec<PanelSum<C>> (&result)[kMicroRows][NV]) {
  using S = PanelSum<C>;
  Vec<S> sum[kMicroRows][NV];
#pragma GCC unroll 8
  for (int i = 0; i < kMicroRows; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) sum[i][j] = Vec<S>{};
  const A rows = a;
  for (int64_t step = 0; step < steps; ++step, b += WIDTH * kLanes<S>) {
    decltype(load_b(b)) vectors[NV];
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) vectors[j] = load_b(b + j * kLanes<S>);
#pragma GCC unroll 8
    for (int i = 0; i < kMicroRows; ++i) {
      const C value = rows.at(step, i);
#pragma GCC unroll 3
      for (int j = 0; j < NV; ++j) multiply_add(sum[i][j], &value, vectors[j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kMicroRows; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) result[i][j] = sum[i][j];
}

/// to.c (+)= the sums of sum_tile.
template <int NV, int WIDTH, class C, class A, class X>
inline void micro_tile(int64_t steps, const A& a, const C* b, const TileTarget<X>& to) {
  if (to.add)   // what the sums are added to arrives while the products run
    for (int64_t i = 0; i < to.rows; ++i)
      for (int64_t j = 0; j < to.columns; j += 64 / static_cast<int64_t>(sizeof(X))) __builtin_prefetch(to.c + i * to.c_row + j, 1);
  Vec<PanelSum<C>> sum[kMicroRows][NV];
  sum_tile<NV, WIDTH>(steps, a, b, sum);
  write_tile<NV, PanelSum<C>>(sum, to);
}

/// micro_tile for a panel of `vectors` vectors without the first `skip`; b and `to` start at the first one that counts.
template <class C, class A, class X>
inline void micro_panel(int64_t vectors, int64_t skip, int64_t steps, const A& a, const C* b, const TileTarget<X>& to) {
  switch (vectors * kMicroVectors + skip) {
    case 3 * kMicroVectors: return micro_tile<3, 3>(steps, a, b, to);
    case 3 * kMicroVectors + 1: return micro_tile<2, 3>(steps, a, b, to);
    case 3 * kMicroVectors + 2: return micro_tile<1, 3>(steps, a, b, to);
    case 2 * kMicroVectors: return micro_tile<2, 2>(steps, a, b, to);
    case 2 * kMicroVectors + 1: return micro_tile<1, 2>(steps, a, b, to);
    default: return micro_tile<1, 1>(steps, a, b, to);
  }
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
