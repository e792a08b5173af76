#pragma once
// Products of rows with panels: the three matrix products of attention and those of the indexer are one inner loop.
// Only for the sources of cpu/isa/.
//
//   sum[i][columns] += sum over steps of a[i][step] * panel[step][columns]
//
// A step is one term of the sum, or a pair of them for bf16 elements where the instruction set multiplies pairs (`Pair`).

#include "kernels/cpu/isa/pack.h"

namespace temper::TEMPER_ISA_NAMESPACE {

// How an element takes part in products.
template <class X>
struct DotOf {
  using Type = X;
};
template <>
struct DotOf<bf16> {
  using Type = Pair;
};
template <class X>
using Dot = typename DotOf<X>::Type;
template <class X>
inline constexpr int kTermsOfStep = sizeof(Dot<X>) / sizeof(X);

template <class X>
inline int64_t dot_steps(int64_t terms) { return (terms + kTermsOfStep<X> - 1) / kTermsOfStep<X>; }

template <class T, class P>
inline T read(const P* p) {
  T value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

template <class S>
inline void add_product(Vec<S>& sum, S a, Vec<S> b) { sum += broadcast(a) * b; }
#if defined(__AVX512BF16__)
inline void add_product(Vec<float>& sum, Pair a, Vec<float> b) {
  sum = reinterpret_cast<Vec<float>>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a.bits))),
                                                      reinterpret_cast<__m512bh>(b)));
}
#endif
inline Vec<float> load_step(const Pair* p) { return load(reinterpret_cast<const float*>(p)); }
template <class S>
inline Vec<S> load_step(const S* p) { return load(p); }

/// Rows a[i] with `step_bytes` between their steps; panel rows are `width` elements apart.
template <int ROWS, int NV, class D, class P>
[[gnu::always_inline]] inline void add_products(const P* const* a, int64_t step_bytes, const D* panel, int64_t width, int64_t steps,
                                                Vec<PanelSum<D>> (&sum)[ROWS][NV]) {
  using S = PanelSum<D>;
  constexpr int L = kLanes<S>;
  const char* rows[ROWS];
  Vec<S> local[ROWS][NV];   // in registers, whatever becomes of `sum`
#pragma GCC unroll 12
  for (int i = 0; i < ROWS; ++i) {
    rows[i] = reinterpret_cast<const char*>(a[i]);
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) local[i][v] = sum[i][v];
  }
  int64_t offset = 0;
  for (int64_t step = 0; step < steps; ++step, offset += step_bytes, panel += width) {
    Vec<S> column[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) column[v] = load_step(panel + v * L);
#pragma GCC unroll 12
    for (int i = 0; i < ROWS; ++i) {
      const D value = read<D>(rows[i] + offset);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) add_product(local[i][v], value, column[v]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) sum[i][v] = local[i][v];
}

// Calls body.operator()<NV>(vector) until n_vectors are done.
template <class Body>
inline void cover_vectors(int64_t n_vectors, const Body& body) {
  int64_t vector = 0;
  for (; vector + 4 <= n_vectors; vector += 4) body.template operator()<4>(vector);
  for (; vector + 2 <= n_vectors; vector += 2) body.template operator()<2>(vector);
  for (; vector < n_vectors; ++vector) body.template operator()<1>(vector);
}

// Covers n rows and n_vectors vectors by calls body.operator()<ROWS, NV>(row, vector): 6 x 4 vectors of sums in 32 registers,
// 3 x 4 in 16; more rows where they are narrow, to keep enough sums in flight.
template <class Body>
inline void cover(int64_t n, int64_t n_vectors, const Body& body) {
  cover_vectors(n_vectors, [&]<int NV>(int64_t vector) {
    constexpr bool kWide = TEMPER_ISA_BYTES == 64;
    constexpr int kMost = kWide ? (NV == 4 ? 6 : 8) : (NV == 4 ? 3 : NV == 2 ? 4 : 6);
    int64_t row = 0;
    for (; row + kMost <= n; row += kMost) body.template operator()<kMost, NV>(row, vector);
    if constexpr (kMost > 4)
      for (; row + 4 <= n; row += 4) body.template operator()<4, NV>(row, vector);
    for (; row < n; ++row) body.template operator()<1, NV>(row, vector);
  });
}

/// scores[i][lanes] = keys[i] . panel[:, lanes];  panel [dot_steps(dim)][panel_width], scores [n][width].
template <class X>
inline void all_dots(const X* const* keys, int64_t n, const Dot<X>* panel, int64_t panel_width, int64_t dim, Accumulate<X>* scores, int64_t width) {
  constexpr int L = kLanes<Accumulate<X>>;
  cover(n, width / L, [&]<int ROWS, int NV>(int64_t key, int64_t vector) {
    Vec<Accumulate<X>> sum[ROWS][NV]{};
    add_products<ROWS, NV>(keys + key, sizeof(Dot<X>), panel + vector * L, panel_width, dot_steps<X>(dim), sum);
#pragma GCC unroll 12
    for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) store(scores + (key + i) * width + (vector + v) * L, sum[i][v]);
  });
}

/// Rows as a panel [dot_steps(count)][dim]: term i of the sum is row(i), of whole vectors.  (Columns: pack_panel.)
template <class X, class Row>
inline void pack_rows(Dot<X>* panel, int64_t count, int64_t dim, const Row& row) {
  if constexpr (kTermsOfStep<X> == 1) {
    for (int64_t i = 0; i < count; ++i, panel += dim) __builtin_memcpy(panel, row(i), static_cast<unsigned long>(dim) * sizeof(X));
  } else {
    constexpr int L = kLanes<float>;
    for (int64_t i = 0; i < count; i += 2, panel += dim) {
      const X *even = row(i), *odd = i + 1 < count ? row(i + 1) : nullptr;
      for (int64_t k = 0; k < dim; k += L) {
        const FullLanes low = __builtin_convertvector(static_cast<HalfLanesValue>(*reinterpret_cast<const HalfLanes*>(even + k)), FullLanes);
        const FullLanes high = odd == nullptr ? FullLanes{} : __builtin_bit_cast(FullLanes, load(odd + k));
        store(reinterpret_cast<float*>(panel + k), __builtin_bit_cast(Vec<float>, low | high));
      }
    }
  }
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
