#pragma once
// Packing of matrices into the panels of micro.h.  Only for the sources of cpu/isa/.

#include <utility>

#include "kernels/cpu/isa/micro.h"

namespace temper::TEMPER_ISA_NAMESPACE {

inline int64_t steps_of(int64_t k, Pair*) { return (k + 1) / 2; }
template <class S>
inline int64_t steps_of(int64_t k, S*) { return k; }

// Exchanges the blocks of `Size` lanes that lie off the diagonal of the vectors a and b (rows i and i + Size of a square, or of two beside each other).
template <int Size, class V, int... Lane>
inline void exchange_blocks(V& a, V& b, std::integer_sequence<int, Lane...>) {
  constexpr int L = sizeof...(Lane);
  const V upper = __builtin_shufflevector(a, b, ((Lane & Size) ? L + Lane - Size : Lane)...);
  b = __builtin_shufflevector(a, b, ((Lane & Size) ? L + Lane : Lane + Size)...);
  a = upper;
}
template <int Size, class V, int N>
inline void exchange_all(V (&rows)[N]) {
  constexpr int L = sizeof(V) / sizeof(rows[0][0]);
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i)
    if (!(i & Size)) exchange_blocks<Size>(rows[i], rows[i + Size], std::make_integer_sequence<int, L>{});
}

/// Transposes a square of L vectors of L lanes.
template <class V, int L>
inline void transpose_square(V (&rows)[L]) {
  if constexpr (L >= 2) exchange_all<1>(rows);
  if constexpr (L >= 4) exchange_all<2>(rows);
  if constexpr (L >= 8) exchange_all<4>(rows);
  if constexpr (L >= 16) exchange_all<8>(rows);
}

// v with its second and third quarter exchanged.
template <class V, int... Lane>
inline V exchange_quarters(V v, std::integer_sequence<int, Lane...>) {
  constexpr int Q = sizeof...(Lane) / 4;
  return __builtin_shufflevector(v, v, (Lane / Q == 1 ? Lane + Q : Lane / Q == 2 ? Lane - Q : Lane)...);
}

/// Transposes a square of 2 H rows of 2 H lanes, given as H vectors with rows r and r + H one after the other.
template <class V, int H>
inline void transpose_halves(V (&rows)[H]) {
  if constexpr (H >= 2) exchange_all<1>(rows);
  if constexpr (H >= 4) exchange_all<2>(rows);
  if constexpr (H >= 8) exchange_all<4>(rows);
#pragma GCC unroll 8
  for (int r = 0; r < H; ++r) rows[r] = exchange_quarters(rows[r], std::make_integer_sequence<int, 4 * H>{});
}

// Steps [step, step + lanes) of a row as one vector, and how such a vector is stored.
inline FullLanes load_steps(const Pair*, const bf16* row, int64_t step) {
  FullLanes v;
  __builtin_memcpy(&v, row + 2 * step, sizeof(v));
  return v;
}
template <class S, class X>
inline Vec<S> load_steps(const S* panel, const X* row, int64_t step) { return load_as(panel, row + step); }
inline void store_steps(Pair* panel, FullLanes v) { __builtin_memcpy(panel, &v, sizeof(v)); }
template <class S>
inline void store_steps(S* panel, Vec<S> v) { store(panel, v); }

/// The first steps of a panel whose rows' elements are adjacent, as many as fill squares; -> how many.  Fills the whole width.
template <class P, class X>
inline int64_t pack_squares(P* panel, int64_t width, int64_t count, const X* x, int64_t i_stride, int64_t n_steps) {
  constexpr int L = kLanes<PanelSum<P>>;
  using V = decltype(load_steps(panel, x, 0));
  const int64_t whole = width % L == 0 ? n_steps / L * L : 0;
  for (int64_t first = 0; first < width && whole > 0; first += L) {
    const int64_t rows = count - first < L ? count - first : L;
    const X* row = x + first * i_stride;
    for (int64_t step = 0; step < whole; step += L) {
      V square[L];
      if (rows == L) {
#pragma GCC unroll 16
        for (int i = 0; i < L; ++i) square[i] = load_steps(panel, row + i * i_stride, step);
      } else {
        for (int i = 0; i < L; ++i) square[i] = i < rows ? load_steps(panel, row + i * i_stride, step) : V{};
      }
      transpose_square(square);
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) store_steps(panel + (step + i) * width + first, square[i]);
    }
  }
  return whole;
}

// How far ahead rows are fetched of which each gives a short piece: the processor does not foresee those.
inline constexpr int64_t kRowsAhead = 8;

/// panel[step * width + i] = element (i, step) for i < count, zero for count <= i < width.
///   x  element (i, k) at x + i * i_stride + k * k_stride;  k in [0, n_k)
template <class S, class X>
inline void pack_panel(S* panel, int64_t width, int64_t count, const X* x, int64_t i_stride, int64_t k_stride, int64_t n_k) {
  constexpr int L = kLanes<S>;
  if (i_stride == 1) {
    for (int64_t k = 0; k < n_k; ++k, panel += width, x += k_stride) {
      int64_t i = 0;
      for (; i + L <= count; i += L) store(panel + i, load_as(panel, x + i));
      for (; i < count; ++i) panel[i] = static_cast<S>(to_float(x[i]));
      for (; i < width; ++i) panel[i] = 0;
    }
    return;
  }
  const int64_t done = k_stride == 1 ? pack_squares(panel, width, count, x, i_stride, n_k) : 0;
  for (int64_t i = 0; i < count; ++i) {
    const X* row = x + i * i_stride;
    for (int64_t k = done; k < n_k; ++k) panel[k * width + i] = static_cast<S>(to_float(row[k * k_stride]));
  }
  for (int64_t i = count; i < width; ++i)
    for (int64_t k = done; k < n_k; ++k) panel[k * width + i] = 0;
}

inline void pack_panel(Pair* panel, int64_t width, int64_t count, const bf16* x, int64_t i_stride, int64_t k_stride, int64_t n_k) {
  constexpr int L = kLanes<float>;
  if (i_stride == 1) {
    for (int64_t k = 0; k < n_k; k += 2, panel += width, x += 2 * k_stride) {
      const bool both = k + 1 < n_k;
      int64_t i = 0;
      for (int64_t ahead = kRowsAhead; ahead < kRowsAhead + 2; ++ahead)
        for (int64_t at = 0; at < count; at += 32) __builtin_prefetch(x + ahead * k_stride + at);
      for (; i + L <= count; i += L) {
        const FullLanes low = __builtin_convertvector(static_cast<HalfLanesValue>(*reinterpret_cast<const HalfLanes*>(x + i)), FullLanes);
        const FullLanes high = both ? __builtin_bit_cast(FullLanes, load(x + k_stride + i)) : FullLanes{};
        store(reinterpret_cast<float*>(panel + i), __builtin_bit_cast(Vec<float>, low | high));
      }
      for (; i < count; ++i) panel[i].bits = x[i].bits | (both ? static_cast<uint32_t>(x[k_stride + i].bits) << 16 : 0u);
      for (; i < width; ++i) panel[i].bits = 0;
    }
    return;
  }
  const int64_t whole = n_k / 2, done = k_stride == 1 ? pack_squares(panel, width, count, x, i_stride, whole) : 0;
  for (int64_t i = 0; i < count; ++i) {
    const bf16* row = x + i * i_stride;
    for (int64_t step = done; step < whole; ++step) {
      if (k_stride == 1)
        __builtin_memcpy(&panel[step * width + i].bits, row + 2 * step, 4);
      else
        panel[step * width + i].bits = row[2 * step * k_stride].bits | static_cast<uint32_t>(row[(2 * step + 1) * k_stride].bits) << 16;
    }
    if (n_k % 2) panel[whole * width + i].bits = row[(n_k - 1) * k_stride].bits;
  }
  for (int64_t i = count; i < width; ++i)
    for (int64_t step = done; step < (n_k + 1) / 2; ++step) panel[step * width + i].bits = 0;
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
