#pragma once
// One tile of attention: some neighbouring queries with all their heads, and the union of their keys.
//
// Scores are kept transposed, [keys][lanes], lane = query * heads + head.  Softmax is then element-wise over vectors of
// lanes, keys are read where they lie (gathered ones too), and nothing but the queries is packed.

#include "kernels/cpu/isa/attention.h"
#include "kernels/cpu/isa/pack.h"

namespace temper::TEMPER_ISA_NAMESPACE {

// How an element takes part in dot products.
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

inline constexpr int kTileLanes = 64;

template <class X>
struct Tile {
  using A = Accumulate<X>;
  int64_t first, n_queries;   // queries
  int64_t n_lanes, width;     // queries * heads; rounded up to whole vectors
  int64_t n_keys;
  const X** keys;             // [n_keys] rows
  A** grads;                  // [n_keys] where the key's gradient is added (backward)
  int32_t* lane_begin;        // [n_keys] lanes that see the key: [lane_begin, lane_end)
  int32_t* lane_end;
  Dot<X>* queries;            // [steps][width]
  Dot<X>* grad_o;             // the same of grad_o (backward)
  A* scores;                  // [n_keys][width]
  A* grad_scores;             // backward
  A *max, *sum, *sink;        // [width]
};

template <class X>
inline int64_t tile_width(int64_t n_heads) {
  constexpr int L = kLanes<Accumulate<X>>;
  const int64_t lanes = n_heads > kTileLanes ? n_heads : kTileLanes / n_heads * n_heads;
  return (lanes + L - 1) / L * L;
}

// Most keys of a tile: the windows of neighbours overlap, so each further query adds at most a window and an entry.
template <class X>
inline int64_t tile_keys(const AttentionArgs& a) { return a.max_keys + 2 * kTileLanes; }

template <class X>
inline int64_t tile_bytes(const AttentionArgs& a) {
  using A = Accumulate<X>;
  const int64_t width = tile_width<X>(a.n_heads), n = tile_keys<X>(a);
  return n * static_cast<int64_t>(sizeof(void*) * 2 + sizeof(int32_t) * 2) + 64 * 8 +
         width * (2 * n + 3 + 2 * a.dim) * static_cast<int64_t>(sizeof(A));
}

// Lays the arrays of the largest tile out in the thread's scratch.
template <class X>
inline Tile<X> make_tile(const AttentionArgs& a, void* scratch) {
  const int64_t width = tile_width<X>(a.n_heads), n = tile_keys<X>(a);
  char* next = static_cast<char*>(scratch);
  const auto take = [&]<class P>(P*& pointer, int64_t count) {
    pointer = reinterpret_cast<P*>(next);
    next += (count * static_cast<int64_t>(sizeof(P)) + 63) / 64 * 64;
  };
  Tile<X> tile{};
  take(tile.scores, n * width);
  take(tile.grad_scores, n * width);
  take(tile.queries, a.dim * width);
  take(tile.grad_o, a.dim * width);
  take(tile.max, width);
  take(tile.sum, width);
  take(tile.sink, width);
  take(tile.keys, n);
  take(tile.grads, n);
  take(tile.lane_begin, n);
  take(tile.lane_end, n);
  return tile;
}

inline bool is_sparse(const AttentionArgs& a, int64_t t) { return a.selected != nullptr && a.entry_end[t] - a.entry_begin[t] > a.n_selected; }

// Takes queries from `first` on while their windows overlap and they choose from the same entries; a query with selected
// entries stands alone.  Then lists the keys.
template <class X>
inline void fill_tile(const AttentionArgs& a, int64_t first, int64_t end, const AttentionKeyGrads* grads, Tile<X>& tile) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t most = kTileLanes > a.n_heads ? kTileLanes / a.n_heads : 1, H = a.n_heads;
  int64_t last = first + 1;
  while (last < end && last - first < most && !is_sparse(a, first) && !is_sparse(a, last) && a.window_begin[last] >= a.window_begin[last - 1] &&
         a.window_begin[last] < a.window_end[last - 1] && a.window_end[last] >= a.window_end[last - 1] &&
         a.window_end[last] - a.window_end[last - 1] <= 1 &&
         (a.entry_begin == nullptr || (a.entry_begin[last] == a.entry_begin[first] && a.entry_end[last] >= a.entry_end[last - 1] &&
                                       a.entry_end[last] - a.entry_end[last - 1] <= 1)))
    ++last;
  tile.first = first;
  tile.n_queries = last - first;
  tile.n_lanes = tile.n_queries * H;
  tile.width = (tile.n_lanes + L - 1) / L * L;
  int64_t n = 0;
  const auto add = [&](const X* source, A* grad, int64_t grad_first, int64_t row, int64_t from, int64_t to) {
    tile.keys[n] = source + row * a.dim;
    tile.grads[n] = grad == nullptr ? nullptr : grad + (row - grad_first) * a.dim;
    tile.lane_begin[n] = static_cast<int32_t>(from * H);
    tile.lane_end[n] = static_cast<int32_t>(to * H);
    ++n;
  };
  A* const window_grad = grads == nullptr ? nullptr : static_cast<A*>(grads->window);
  A* const entries_grad = grads == nullptr ? nullptr : static_cast<A*>(grads->entries);
  const int64_t window_first = grads == nullptr ? 0 : grads->window_first, entries_first = grads == nullptr ? 0 : grads->entries_first;
  int64_t from = 0, to = 0;   // queries that see the row; both only grow with the row
  for (int64_t row = a.window_begin[first]; row < a.window_end[last - 1]; ++row) {
    while (a.window_end[first + from] <= row) ++from;
    while (to < tile.n_queries && a.window_begin[first + to] <= row) ++to;
    add(static_cast<const X*>(a.window), window_grad, window_first, row, from, to);
  }
  if (a.entry_begin != nullptr && is_sparse(a, first)) {
    const int32_t* chosen = a.selected + first * a.n_selected;
    for (int64_t i = 0; i < a.n_selected; ++i)
      if (chosen[i] >= 0) add(static_cast<const X*>(a.entries), entries_grad, entries_first, chosen[i], 0, 1);
  } else if (a.entry_begin != nullptr) {
    from = 0;
    for (int64_t row = a.entry_begin[first]; row < a.entry_end[last - 1]; ++row) {
      while (a.entry_end[first + from] <= row) ++from;
      add(static_cast<const X*>(a.entries), entries_grad, entries_first, row, from, tile.n_queries);
    }
  }
  tile.n_keys = n;
  for (int64_t lane = 0; lane < tile.width; ++lane) tile.sink[lane] = lane < tile.n_lanes ? static_cast<const A*>(a.sink)[lane % H] : A{};
}

// ---- The three products ----

inline constexpr int kTileRows = TEMPER_ISA_BYTES == 64 ? 6 : 3;   // 6 x 4 vectors of sums in 32 registers, 3 x 4 in 16

template <class T, class P>
inline T read(const P* p) {
  T value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

// scores[i][lanes] = keys[i] . queries[:, lanes]
template <int ROWS, int NV, class X>
inline void dot_rows(const X* const* keys, const Dot<X>* queries, int64_t steps, int64_t width, Accumulate<X>* scores) {
  using A = Accumulate<X>;
  using D = Dot<X>;
  constexpr int L = kLanes<A>;
  Vec<A> sum[ROWS][NV]{};
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < ROWS; ++i) {
      const D value = read<D>(reinterpret_cast<const char*>(keys[i]) + step * static_cast<int64_t>(sizeof(D)));
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) multiply_add(sum[i][v], &value, queries + step * width + v * L);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) store(scores + i * width + v * L, sum[i][v]);
}

// out[i][columns] = sum_j weights[j * width + i] * keys[j][columns]
template <int ROWS, int NV, class X>
inline void weighted_rows(int64_t n, const Accumulate<X>* weights, int64_t width, const X* const* keys, int64_t column, Accumulate<X>* out, int64_t ld) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  Vec<A> sum[ROWS][NV]{};
  for (int64_t j = 0; j < n; ++j, weights += width) {
    Vec<A> key[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) key[v] = load(keys[j] + column + v * L);
#pragma GCC unroll 12
    for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[i][v] += broadcast(weights[i]) * key[v];
  }
#pragma GCC unroll 12
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) store(out + i * ld + v * L, sum[i][v]);
}

template <class X>
struct Operand {
  const Accumulate<X>* weights;
  const X* rows;
};

// grads[i][columns] += sum over lanes of a[i][lane] * x[lane][columns] + b[i][lane] * y[lane][columns]; b may be null
template <int ROWS, int NV, class X>
inline void add_outer(int64_t n_lanes, const Accumulate<X>* a, const X* x, const Accumulate<X>* b, const X* y, int64_t width, int64_t dim,
                      int64_t column, Accumulate<X>* const* grads) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  Vec<A> sum[ROWS][NV];
#pragma GCC unroll 12
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) sum[i][v] = load(grads[i] + column + v * L);
  const Operand<X> both[2] = {{a, x}, {b, y}};
  for (const auto& [weights, rows] : both) {
    if (weights == nullptr) continue;
    for (int64_t lane = 0; lane < n_lanes; ++lane) {
      Vec<A> row[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) row[v] = load(rows + lane * dim + column + v * L);
#pragma GCC unroll 12
      for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sum[i][v] += broadcast(weights[i * width + lane]) * row[v];
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) store(grads[i] + column + v * L, sum[i][v]);
}

// Covers n rows and n_vectors vectors by calls body.operator()<ROWS, NV>(row, vector).
template <class Body>
inline void cover(int64_t n, int64_t n_vectors, const Body& body) {
  const auto rows = [&]<int NV>(int64_t vector) {
    constexpr int kMost = NV == 1 ? 2 * kTileRows : NV == 2 ? kTileRows + kTileRows / 2 : kTileRows;   // enough sums in flight for narrow tiles
    int64_t row = 0;
    for (; row + kMost <= n; row += kMost) body.template operator()<kMost, NV>(row, vector);
    for (; row + kTileRows / 3 * 2 <= n && kTileRows > 3; row += kTileRows / 3 * 2) body.template operator()<kTileRows / 3 * 2, NV>(row, vector);
    for (; row + 2 <= n; row += 2) body.template operator()<2, NV>(row, vector);
    for (; row < n; ++row) body.template operator()<1, NV>(row, vector);
  };
  int64_t vector = 0;
  for (; vector + 4 <= n_vectors; vector += 4) rows.template operator()<4>(vector);
  for (; vector + 2 <= n_vectors; vector += 2) rows.template operator()<2>(vector);
  for (; vector < n_vectors; ++vector) rows.template operator()<1>(vector);
}

template <class X>
inline void all_dots(const Tile<X>& tile, const Dot<X>* queries, int64_t dim, Accumulate<X>* scores) {
  constexpr int L = kLanes<Accumulate<X>>;
  cover(tile.n_keys, tile.width / L, [&]<int ROWS, int NV>(int64_t key, int64_t vector) {
    dot_rows<ROWS, NV, X>(tile.keys + key, queries + vector * L, steps_of(dim, static_cast<Dot<X>*>(nullptr)), tile.width, scores + key * tile.width + vector * L);
  });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
