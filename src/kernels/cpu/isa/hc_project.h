#pragma once
// The projection of mHC: fn . x and x . x of each token, a block of lanes at a time, one token in each lane.  Only for hyper_connection.cpp.

#include "kernels/cpu/isa/dot_tile.h"
#include "kernels/cpu/isa/hc_lanes.h"
#include "kernels/cpu/isa/transpose.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int64_t kChunk = 64;   // columns of the streams that are turned at once
constexpr int64_t kPackedTokens = 4;   // times the lanes: fewer tokens are not worth packing fn
constexpr int kPanelRows = TEMPER_ISA_BYTES == 64 ? 12 : 6;   // times two blocks: sums that the vector registers hold

// panel[k][c] = fn[c][k]
template <class A>
void pack_projection(const A* fn, int64_t C, int64_t n, A* panel) {
  for (int64_t k = 0; k < n; k += kChunk)
    for (int64_t c = 0; c < C; ++c)
      for (int64_t i = k; i < k + kChunk && i < n; ++i) panel[i * C + c] = fn[c * n + i];
}

// mix[v][r] += sum over k of panel[k][r] * columns[v][k], for R rows and V blocks of tokens
template <int R, int V, class A>
void add_rows(const A* columns, const A* panel, int64_t C, int64_t n, Lane<A>* const (&mix)[V]) {
  constexpr int L = kLanes<A>;
  Vec<A> sum[R][V];
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[r][v] = mix[v][r].get();
  for (int64_t k = 0; k < n; ++k) {
    Vec<A> column[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) column[v] = load(columns + (v * kChunk + k) * L);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] += broadcast(panel[k * C + r]) * column[v];
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) mix[v][r].set(sum[r][v]);
}

template <class A>
struct Projection {   // of a block of tokens: fn . x and x . x
  Lane<A> mix[kHcMaxC] = {}, squares = {};
};

// `count` tokens, more than V - 1 whole blocks.
template <int V, class X>
void project_blocks(const X* x, int64_t count, int64_t n, const Accumulate<X>* panel, int64_t C, Projection<Accumulate<X>>* out) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  alignas(64) A columns[V * kChunk * L];
  for (int64_t k = 0; k < n; k += kChunk) {
    const int64_t width = n - k < kChunk ? n - k : kChunk;
    for (int v = 0; v < V; ++v) {
      A* const turned = columns + v * kChunk * L;
      transpose_rows(x + v * L * n + k, n, count - v * L < L ? count - v * L : L, width, turned);
      Vec<A> square[4] = {};   // chains that do not wait for each other
      int64_t i = 0;
      for (; i + 4 <= width; i += 4)
#pragma GCC unroll 4
        for (int64_t j = 0; j < 4; ++j) square[j] += load(turned + (i + j) * L) * load(turned + (i + j) * L);
      for (; i < width; ++i) square[0] += load(turned + i * L) * load(turned + i * L);
      out[v].squares.set(out[v].squares.get() + ((square[0] + square[1]) + (square[2] + square[3])));
    }
    const auto rows = [&]<int R>(int64_t c) {
      Lane<A>* mix[V];
      for (int v = 0; v < V; ++v) mix[v] = out[v].mix + c;
      add_rows<R, V, A>(columns, panel + k * C + c, C, width, mix);
    };
    int64_t c = 0;
    for (; c + kPanelRows <= C; c += kPanelRows) rows.template operator()<kPanelRows>(c);
    for (; c + 4 <= C; c += 4) rows.template operator()<4>(c);
    for (; c < C; ++c) rows.template operator()<1>(c);
  }
}

template <class X>
Accumulate<X> sum_of_squares(const X* x, int64_t n) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  Vec<A> square[4] = {};   // chains that do not wait for each other
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L)
#pragma GCC unroll 4
    for (int64_t j = 0; j < 4; ++j) square[j] += load(x + i + j * L) * load(x + i + j * L);
  A total = sum_lanes<A>((square[0] + square[1]) + (square[2] + square[3]));
  for (; i < n; ++i) total += to_float(x[i]) * to_float(x[i]);
  return total;
}

// For few tokens the panel is not worth making: products along k, of some tokens with some rows of fn at a time.
template <class X>
void project_tokens(const X* x, int64_t count, int64_t n, const Accumulate<X>* fn, int64_t C, Projection<Accumulate<X>>& out) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>, kSide = L >= 16 ? 4 : L >= 4 ? 2 : 1;
  alignas(64) A sums[kSide * kSide];
  for (int64_t t = 0; t < count; t += kSide) {
    const X* rows[kSide];   // past the end the last one again
    for (int64_t i = 0; i < kSide; ++i) rows[i] = x + (t + i < count ? t + i : count - 1) * n;
    for (int64_t c = 0; c < C; c += kSide) {
      const A* columns[kSide];
      for (int64_t j = 0; j < kSide; ++j) columns[j] = fn + (c + j < C ? c + j : C - 1) * n;
      dot_tile<kSide, kSide>(rows, columns, n, fn + (c + kSide < C ? c + kSide : c) * n, sums, kSide);
      for (int64_t i = 0; i < kSide && t + i < count; ++i)
        for (int64_t j = 0; j < kSide && c + j < C; ++j) out.mix[c + j].at[t + i] = sums[i * kSide + j];
    }
    for (int64_t i = 0; i < kSide && t + i < count; ++i) out.squares.at[t + i] = sum_of_squares(rows[i], n);
  }
}

}  // namespace
}  // namespace temper::TEMPER_ISA_NAMESPACE
