#include "kernels/cpu/isa/attention.h"

#include "kernels/cpu/isa/attention_tile.h"
#include "kernels/cpu/isa/math.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

// Calls f with a null pointer of the elements' type; bf16 only where its pairs are multiplied.
template <class F>
void with_attention_element(Element element, F&& f) {
  if (element == Element::kDouble) return f(static_cast<double*>(nullptr));
#if defined(__AVX512BF16__)
  if (element == Element::kBFloat16) return f(static_cast<bf16*>(nullptr));
#endif
  f(static_cast<float*>(nullptr));
}

// Lanes that do not see the key get -inf.
template <class X>
void hide(const Tile<X>& tile, int64_t key, Accumulate<X>* row) {
  for (int64_t lane = 0; lane < tile.lane_begin[key]; ++lane) row[lane] = -__builtin_inf();
  for (int64_t lane = tile.lane_end[key]; lane < tile.n_lanes; ++lane) row[lane] = -__builtin_inf();
}

// scores -> exp(scores - max), with max and sum (keys and sink) per lane.
template <class X>
void softmax(const Tile<X>& tile, Accumulate<X> scale) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  for (int64_t lane = 0; lane < tile.width; lane += L) store(tile.max + lane, load(tile.sink + lane));
  for (int64_t key = 0; key < tile.n_keys; ++key) {
    A* row = tile.scores + key * tile.width;
    hide(tile, key, row);
    for (int64_t lane = 0; lane < tile.width; lane += L) {
      const Vec<A> score = load(row + lane) * scale;
      store(row + lane, score);
      store(tile.max + lane, max_of(score, load(tile.max + lane)));
    }
  }
  for (int64_t lane = 0; lane < tile.width; lane += L) store(tile.sum + lane, exp_of(load(tile.sink + lane) - load(tile.max + lane)));
  for (int64_t key = 0; key < tile.n_keys; ++key) {
    A* row = tile.scores + key * tile.width;
    for (int64_t lane = 0; lane < tile.width; lane += L) {
      const Vec<A> p = exp_of(load(row + lane) - load(tile.max + lane));
      store(row + lane, p);
      store(tile.sum + lane, load(tile.sum + lane) + p);
    }
  }
}

// out[lane][:] = factor[lane] * sum_j weights[j][lane] * keys[j][:], through `sums` [rows of a call][dim] on the stack's side.
template <class X>
void write_weighted(const Tile<X>& tile, const Accumulate<X>* weights, int64_t dim, const Accumulate<X>* factor, X* out, Accumulate<X>* sums) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  cover(tile.n_lanes, dim / L, [&]<int ROWS, int NV>(int64_t lane, int64_t vector) {
    weighted_rows<ROWS, NV, X>(tile.n_keys, weights + lane, tile.width, tile.keys, vector * L, sums, NV * L);
    for (int i = 0; i < ROWS; ++i) {
      const A f = factor == nullptr ? A{1} : factor[lane + i];
      for (int v = 0; v < NV; ++v) store(out + (lane + i) * dim + (vector + v) * L, load(sums + (i * NV + v) * L) * f);
    }
  });
}

template <class X>
void forward(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch) {
  using A = Accumulate<X>;
  alignas(64) A sums[24 * kLanes<A>];
  Tile<X> tile = make_tile<X>(a, scratch);
  for (int64_t t = begin; t < end; t += tile.n_queries) {
    fill_tile<X>(a, t, end, nullptr, tile);
    const int64_t row = t * a.n_heads;
    pack_panel(tile.queries, tile.width, tile.n_lanes, static_cast<const X*>(a.q) + row * a.dim, a.dim, 1, a.dim);
    all_dots(tile, tile.queries, a.dim, tile.scores);
    softmax(tile, static_cast<A>(a.scale));
    for (int64_t lane = 0; lane < tile.n_lanes; ++lane) {
      static_cast<A*>(a.lse)[row + lane] = tile.max[lane] + static_cast<A>(__builtin_log(tile.sum[lane]));
      tile.sum[lane] = 1 / tile.sum[lane];
    }
    write_weighted(tile, tile.scores, a.dim, tile.sum, static_cast<X*>(a.o) + row * a.dim, sums);
  }
}

// scores -> p = exp(scores - lse);  grad_scores -> p (grad_scores - delta) scale
template <class X>
void softmax_backward(const Tile<X>& tile, Accumulate<X> scale, const Accumulate<X>* lse, const Accumulate<X>* delta) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  for (int64_t lane = 0; lane < tile.width; ++lane) {
    tile.max[lane] = lane < tile.n_lanes ? lse[lane] : A{};
    tile.sum[lane] = lane < tile.n_lanes ? delta[lane] : A{};
  }
  for (int64_t key = 0; key < tile.n_keys; ++key) {
    A *score = tile.scores + key * tile.width, *grad = tile.grad_scores + key * tile.width;
    hide(tile, key, score);
    for (int64_t lane = 0; lane < tile.width; lane += L) {
      const Vec<A> p = exp_of(load(score + lane) * scale - load(tile.max + lane));
      store(score + lane, p);
      store(grad + lane, p * (load(grad + lane) - load(tile.sum + lane)) * scale);
    }
  }
}

template <class X>
void backward(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch, const AttentionKeyGrads& grads) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  alignas(64) A sums[24 * kLanes<A>];
  Tile<X> tile = make_tile<X>(a, scratch);
  for (int64_t t = begin; t < end; t += tile.n_queries) {
    fill_tile<X>(a, t, end, &grads, tile);
    const int64_t row = t * a.n_heads;
    const X *q = static_cast<const X*>(a.q) + row * a.dim, *grad_o = static_cast<const X*>(a.grad_o) + row * a.dim;
    pack_panel(tile.queries, tile.width, tile.n_lanes, q, a.dim, 1, a.dim);
    pack_panel(tile.grad_o, tile.width, tile.n_lanes, grad_o, a.dim, 1, a.dim);
    all_dots(tile, tile.queries, a.dim, tile.scores);
    all_dots(tile, tile.grad_o, a.dim, tile.grad_scores);
    softmax_backward(tile, static_cast<A>(a.scale), static_cast<const A*>(a.lse) + row, static_cast<const A*>(a.delta) + row);
    write_weighted(tile, tile.grad_scores, a.dim, static_cast<const A*>(nullptr), static_cast<X*>(a.grad_q) + row * a.dim, sums);
    cover(tile.n_keys, a.dim / L, [&]<int ROWS, int NV>(int64_t key, int64_t vector) {
      add_outer<ROWS, NV, X>(tile.n_lanes, tile.grad_scores + key * tile.width, q, tile.scores + key * tile.width, grad_o, tile.width, a.dim, vector * L,
                             tile.grads + key);
    });
  }
}

}  // namespace

void attention_scratch(const AttentionArgs& args, int64_t& bytes) {
  with_attention_element(args.element, [&]<class X>(X*) { bytes = (tile_bytes<X>(args) + 1024) / 64 * 64; });
}

void attention_forward(const AttentionArgs& args, int64_t begin, int64_t end, void* scratch) {
  with_attention_element(args.element, [&]<class X>(X*) { forward<X>(args, begin, end, scratch); });
}

void attention_backward(const AttentionArgs& args, int64_t begin, int64_t end, void* scratch, const AttentionKeyGrads& grads) {
  with_attention_element(args.element, [&]<class X>(X*) { backward<X>(args, begin, end, scratch, grads); });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
