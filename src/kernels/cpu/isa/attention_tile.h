#pragma once
// One tile of attention: some neighbouring queries with all their heads, and the keys they see.
//
// Scores are kept transposed, [keys][lanes], lane = query * heads + head: softmax is then element-wise over vectors of lanes,
// and keys are read where they lie.  A tile's keys form segments: one of the rows that its queries share (windows of neighbours
// overlap, so do ranges of entries), and for queries with a selection one each, of their own lanes only.

#include "kernels/cpu/isa/attention.h"
#include "kernels/cpu/isa/row_products.h"

namespace temper::TEMPER_ISA_NAMESPACE {

inline constexpr int kTileLanes = 64;

/// Keys [key, key + n_keys) of the tile for the lanes [lane, lane + n_lanes).
template <class X>
struct Segment {
  using A = Accumulate<X>;
  int64_t key, n_keys;
  int64_t lane, n_lanes, width;   // width: whole vectors
  int64_t row;                    // of its keys in `values`: steps of dim elements
  A* scores;                      // [n_keys][width]; later the weights: [dot_steps(n_keys)][width] Dot, or rows of X
  A* grad_scores;                 // the same, backward
  Dot<X>* grad_steps;             // [dot_steps(n_keys)][width], backward
};

template <class X>
struct Tile {
  using A = Accumulate<X>;
  int64_t first, n_queries;
  int64_t n_lanes, stride;    // queries * heads; lanes of a panel, with room for whole vectors from any query's first lane on
  int64_t n_keys;
  int n_segments;
  Segment<X>* segments;       // [1 + queries]
  const X** keys;             // [n_keys] rows
  A** grads;                  // [n_keys] where the key's gradient is added (backward)
  int32_t* lane_begin;        // [n_keys] lanes of the segment that see the key: [lane_begin, lane_end)
  int32_t* lane_end;
  Dot<X>* values;             // [rows][dim] keys as the panel of a sum over keys
  Dot<X>* queries;            // [dot_steps(dim)][stride]
  Dot<X>* grad_o;             // the same of grad_o (backward)
  Dot<X>* query_rows;         // [dot_steps(n_lanes)][dim] the same as panels of a sum over lanes (backward)
  Dot<X>* grad_o_rows;
  A *scores, *grad_scores;    // of all segments
  Dot<X>* grad_steps;
  A *max, *sum, *sink;        // [stride]
};

// Pairs of lanes must not straddle queries, so with an odd number of heads each query is a tile of its own.
inline int64_t tile_queries(int64_t n_heads) { return n_heads % 2 == 0 && n_heads < kTileLanes ? kTileLanes / n_heads : 1; }

// Lays the arrays of the largest tile out in the thread's scratch; returns their end.
template <class X>
inline char* make_tile(const AttentionArgs& a, void* scratch, Tile<X>& tile) {
  constexpr int L = kLanes<Accumulate<X>>;
  const int64_t queries = tile_queries(a.n_heads), stride = (queries * a.n_heads + L - 1) / L * L + L;
  // Each further query of a tile adds at most a row of the window and an entry, or a selection of its own.
  const int64_t shared = a.max_keys + 2 * queries, own = queries * a.n_selected, n = shared + own + 2 * (queries + 1);
  const int64_t scores = (shared + 2) * stride + (own + 2 * queries) * ((a.n_heads + L - 1) / L * L);
  char* next = static_cast<char*>(scratch);
  const auto take = [&]<class P>(P*& pointer, int64_t count) {
    pointer = reinterpret_cast<P*>(next);
    next += (count * static_cast<int64_t>(sizeof(P)) + 63) / 64 * 64;
  };
  take(tile.scores, scores);
  take(tile.grad_scores, scores);
  take(tile.grad_steps, scores);
  take(tile.values, (dot_steps<X>(n) + queries + 1) * a.dim);
  take(tile.queries, dot_steps<X>(a.dim) * stride);
  take(tile.grad_o, dot_steps<X>(a.dim) * stride);
  take(tile.query_rows, dot_steps<X>(stride) * a.dim);
  take(tile.grad_o_rows, dot_steps<X>(stride) * a.dim);
  take(tile.max, stride);
  take(tile.sum, stride);
  take(tile.sink, stride);
  take(tile.keys, n);
  take(tile.grads, n);
  take(tile.lane_begin, n);
  take(tile.lane_end, n);
  take(tile.segments, queries + 1);
  return next;
}

inline bool is_sparse(const AttentionArgs& a, int64_t t) { return a.selected != nullptr && a.entry_end[t] - a.entry_begin[t] > a.n_selected; }

// The end of the queries from `first` on that make one tile: overlapping windows, and either all choose for themselves or all
// see ranges of the same entries.
inline int64_t end_of_tile(const AttentionArgs& a, int64_t first, int64_t end) {
  const int64_t most = tile_queries(a.n_heads);
  const bool sparse = is_sparse(a, first);
  const auto fits = [&](int64_t t) {
    const bool windows = a.window_begin[t] >= a.window_begin[t - 1] && a.window_begin[t] < a.window_end[t - 1] && a.window_end[t] >= a.window_end[t - 1] &&
                         a.window_end[t] - a.window_end[t - 1] <= 1;
    if (!windows || is_sparse(a, t) != sparse) return false;
    return sparse || a.entry_begin == nullptr ||
           (a.entry_begin[t] == a.entry_begin[first] && a.entry_end[t] >= a.entry_end[t - 1] && a.entry_end[t] - a.entry_end[t - 1] <= 1);
  };
  int64_t last = first + 1;
  while (last < end && last - first < most && fits(last)) ++last;
  return last;
}

// Lists the queries of the tile that begins at `first`, their keys and segments.
template <class X>
inline void fill_tile(const AttentionArgs& a, int64_t first, int64_t end, const AttentionKeyGrads* grads, Tile<X>& tile) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t H = a.n_heads, last = end_of_tile(a, first, end);
  const bool sparse = is_sparse(a, first);
  tile.first = first;
  tile.n_queries = last - first;
  tile.n_lanes = tile.n_queries * H;
  tile.stride = (tile.n_lanes + L - 1) / L * L + (sparse && H % L != 0 ? L : 0);
  tile.n_segments = 0;
  int64_t n = 0, row_of_values = 0, used = 0;
  const auto begin_segment = [&](int64_t lane, int64_t n_lanes) {
    tile.segments[tile.n_segments++] = {.key = n, .n_keys = 0, .lane = lane, .n_lanes = n_lanes, .width = (n_lanes + L - 1) / L * L, .row = row_of_values,
                                        .scores = tile.scores + used, .grad_scores = tile.grad_scores + used, .grad_steps = tile.grad_steps + used};
  };
  const auto end_segment = [&] {
    Segment<X>& segment = tile.segments[tile.n_segments - 1];
    segment.n_keys = n - segment.key;
    const int64_t steps = dot_steps<X>(segment.n_keys);
    row_of_values += steps;
    used += steps * kTermsOfStep<X> * segment.width;
  };
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

  begin_segment(0, tile.n_lanes);
  int64_t from = 0, to = 0;   // queries that see the row; both only grow with the row
  for (int64_t row = a.window_begin[first]; row < a.window_end[last - 1]; ++row) {
    while (a.window_end[first + from] <= row) ++from;
    while (to < tile.n_queries && a.window_begin[first + to] <= row) ++to;
    add(static_cast<const X*>(a.window), window_grad, window_first, row, from, to);
  }
  if (a.entry_begin != nullptr && !sparse) {
    from = 0;
    for (int64_t row = a.entry_begin[first]; row < a.entry_end[last - 1]; ++row) {
      while (a.entry_end[first + from] <= row) ++from;
      add(static_cast<const X*>(a.entries), entries_grad, entries_first, row, from, tile.n_queries);
    }
  }
  end_segment();
  for (int64_t query = 0; sparse && query < tile.n_queries; ++query) {
    begin_segment(query * H, H);
    const int32_t* chosen = a.selected + (first + query) * a.n_selected;
    for (int64_t i = 0; i < a.n_selected; ++i)
      if (chosen[i] >= 0) add(static_cast<const X*>(a.entries), entries_grad, entries_first, chosen[i], 0, 1);
    end_segment();
  }
  tile.n_keys = n;
  for (int64_t lane = 0; lane < tile.stride; ++lane) tile.sink[lane] = lane < tile.n_lanes ? static_cast<const A*>(a.sink)[lane % H] : A{};
}

/// Calls body(segment) for all segments of the tile.
template <class X, class Body>
inline void for_segments(const Tile<X>& tile, const Body& body) {
  for (int i = 0; i < tile.n_segments; ++i) body(tile.segments[i]);
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
