#pragma once
// mHC backward: sums over tokens for the gradient of the projection,  grad_fn[c] += scaled_tc * streams_t.  Only for the sources of cpu/isa/.
// `add`: to what grad_fn holds, else it is overwritten.   scaled: [token][C], of `count` tokens from `first` on.

#include "kernels/cpu/isa/hc_lanes.h"

namespace temper::TEMPER_ISA_NAMESPACE {

// R rows of a part's grad_fn, V vectors of columns, of `count` tokens from `first` on.
template <int R, int V, class X>
inline void fn_grad_tile(const HcRows& a, int64_t c, int64_t column, int64_t first, int64_t count, const Accumulate<X>* scaled, bool add) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t C = a.C, n = a.M * a.D;
  A* const grad_fn = static_cast<A*>(a.grad_fn) + c * n + column;
  Vec<A> sum[R][V] = {};
  if (add)
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) sum[r][v] = load(grad_fn + r * n + v * L);
  const X* x = static_cast<const X*>(a.streams) + first * n + column;
  for (int64_t t = 0; t < count; ++t, x += n) {
    Vec<A> value[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) value[v] = load(x + v * L);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] += value[v] * scaled[t * C + c + r];
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(grad_fn + r * n + v * L, sum[r][v]);
}

// V vectors of columns of all streams from i on.
template <int V, class X>
inline void fn_grad(const HcRows& a, int64_t i, int64_t first, int64_t count, const Accumulate<X>* scaled, bool add) {
  constexpr int R = TEMPER_ISA_BYTES == 64 ? 12 : 4;
  for (int64_t j = 0; j < a.M; ++j) {
    int64_t c = 0;
    for (; c + R <= a.C; c += R) fn_grad_tile<R, V, X>(a, c, j * a.D + i, first, count, scaled, add);
    for (; c + 4 <= a.C; c += 4) fn_grad_tile<4, V, X>(a, c, j * a.D + i, first, count, scaled, add);
    for (; c < a.C; ++c) fn_grad_tile<1, V, X>(a, c, j * a.D + i, first, count, scaled, add);
  }
}

// The columns from i on that are no whole vector.
template <class X>
inline void fn_grad_last_columns(const HcRows& a, int64_t i, int64_t first, int64_t count, const Accumulate<X>* scaled, bool add) {
  using A = Accumulate<X>;
  const int64_t C = a.C, n = a.M * a.D;
  for (int64_t j = 0; j < a.M; ++j)
    for (int64_t column = j * a.D + i; column < (j + 1) * a.D; ++column)
      for (int64_t c = 0; c < C; ++c) {
        A& sum = static_cast<A*>(a.grad_fn)[c * n + column];
        if (!add) sum = 0;
        for (int64_t t = 0; t < count; ++t) sum += scaled[t * C + c] * to_float(static_cast<const X*>(a.streams)[(first + t) * n + column]);
      }
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
