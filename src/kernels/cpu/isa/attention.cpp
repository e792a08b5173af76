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

// One step of a sum over keys: the weight of one key, or those of two.
template <class A>
inline void store_step(A* to, const Vec<A>* terms) { store(to, terms[0]); }
#if defined(__AVX512BF16__)
inline void store_step(Pair* to, const Vec<float>* terms) {
  const __m512bh halves = _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(terms[1]), reinterpret_cast<__m512>(terms[0]));
  typedef uint16_t Words __attribute__((vector_size(64)));
  Words order;
  for (int i = 0; i < 32; ++i) order[i] = static_cast<uint16_t>(i / 2 + i % 2 * 16);
  _mm512_storeu_si512(to, _mm512_permutexvar_epi16(reinterpret_cast<__m512i>(order), reinterpret_cast<__m512i>(halves)));
}
#endif

// Lanes that do not see a key get -inf.
template <class X>
void hide(const Tile<X>& tile, const Segment<X>& segment) {
  for (int64_t i = 0; i < segment.n_keys; ++i) {
    const int64_t begin = tile.lane_begin[segment.key + i], end = tile.lane_end[segment.key + i];
    Accumulate<X>* row = segment.scores + i * segment.width;
    for (int64_t lane = 0; lane < begin; ++lane) row[lane] = -__builtin_inf();
    for (int64_t lane = end; lane < segment.width; ++lane) row[lane] = -__builtin_inf();
  }
}

// scores -> steps of exp(scale * scores - max), with max and sum (keys and sink) per lane.
template <class X>
void softmax(const Tile<X>& tile, Accumulate<X> scale) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>, K = kTermsOfStep<X>;
  for (int64_t lane = 0; lane < tile.stride; lane += L) store(tile.max + lane, load(tile.sink + lane));
  for_segments(tile, [&](const Segment<X>& segment) {
    hide(tile, segment);
    cover_vectors(segment.width / L, [&]<int NV>(int64_t vector) {
      Vec<A> most[NV];
      for (int v = 0; v < NV; ++v) most[v] = broadcast(-static_cast<A>(__builtin_inf()));
      const A* row = segment.scores + vector * L;
      for (int64_t key = 0; key < segment.n_keys; ++key, row += segment.width)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) most[v] = max_of(load(row + v * L), most[v]);
      A* max = tile.max + segment.lane + vector * L;
      for (int v = 0; v < NV; ++v) store(max + v * L, max_of(most[v] * scale, load(max + v * L)));
    });
  });
  for (int64_t lane = 0; lane < tile.stride; lane += L) store(tile.sum + lane, exp_of(load(tile.sink + lane) - load(tile.max + lane)));
  for_segments(tile, [&](const Segment<X>& segment) {
    cover_vectors(segment.width / L, [&]<int NV>(int64_t vector) {
      A* const lanes = tile.sum + segment.lane + vector * L;
      Vec<A> sum[NV], max[NV];
      for (int v = 0; v < NV; ++v) sum[v] = load(lanes + v * L), max[v] = load(tile.max + segment.lane + (vector + v) * L);
      for (int64_t key = 0; key < segment.n_keys; key += K)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          Vec<A> terms[K]{};
          for (int k = 0; k < K && key + k < segment.n_keys; ++k) {
            terms[k] = exp_of(load(segment.scores + (key + k) * segment.width + (vector + v) * L) * scale - max[v]);
            sum[v] += terms[k];
          }
          store_step(reinterpret_cast<Dot<X>*>(segment.scores) + key / K * segment.width + (vector + v) * L, terms);   // behind what was read
        }
      for (int v = 0; v < NV; ++v) store(lanes + v * L, sum[v]);
    });
  });
}

// Keys as the panel of sums over keys, each segment from a step of its own.
template <class X>
void pack_values(const Tile<X>& tile, int64_t dim) {
  for_segments(tile, [&](const Segment<X>& segment) {
    pack_rows<X>(tile.values + segment.row * dim, segment.n_keys, dim, [&](int64_t i) { return tile.keys[segment.key + i]; });
  });
}

// out[lane][:] = factor[lane] * sum over keys of weight * key, factor null = 1; weights(segment) gives [steps][width].
template <class X, class Weights>
void write_weighted(const Tile<X>& tile, int64_t dim, const Accumulate<X>* factor, X* out, const Weights& weights) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const Segment<X>& shared = tile.segments[0];
  const auto write = [&](const Segment<X>& lanes, const Segment<X>* own) {
    cover(lanes.n_lanes, dim / L, [&]<int ROWS, int NV>(int64_t lane, int64_t vector) {
      Vec<A> sum[ROWS][NV]{};
      const auto add = [&](const Segment<X>& segment, int64_t first) {
        const Dot<X>* rows[ROWS];
        for (int i = 0; i < ROWS; ++i) rows[i] = weights(segment) + first + i;
        add_products<ROWS, NV>(rows, segment.width * static_cast<int64_t>(sizeof(Dot<X>)), tile.values + segment.row * dim + vector * L, dim,
                               dot_steps<X>(segment.n_keys), sum);
      };
      add(shared, lanes.lane + lane);
      if (own != nullptr) add(*own, lane);
#pragma GCC unroll 12
      for (int i = 0; i < ROWS; ++i) {
        const A f = factor == nullptr ? A{1} : factor[lanes.lane + lane + i];
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) store(out + (lanes.lane + lane + i) * dim + (vector + v) * L, sum[i][v] * f);
      }
    });
  };
  if (tile.n_segments == 1) return write(shared, nullptr);
  for (int i = 1; i < tile.n_segments; ++i) write(tile.segments[i], &tile.segments[i]);
}

template <class X>
void all_scores(const Tile<X>& tile, const Dot<X>* panel, int64_t dim, Accumulate<X>* Segment<X>::* scores) {
  for_segments(tile, [&](const Segment<X>& segment) {
    all_dots<X>(tile.keys + segment.key, segment.n_keys, panel + segment.lane, tile.stride, dim, segment.*scores, segment.width);
  });
}

// The keys of a query alone (decoding) are in no cache near, and a few rows at a time are no sequence that the processor foresees.
template <class X>
void fetch_keys(const Tile<X>& tile, int64_t dim) {
  for (int64_t key = 0; key < tile.n_keys; ++key)
    for (int64_t i = 0; i < dim; i += 64 / static_cast<int64_t>(sizeof(X))) __builtin_prefetch(tile.keys[key] + i);
}

template <class X>
void forward(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  Tile<X> tile{};
  make_tile<X>(a, scratch, tile);
  for (int64_t t = begin; t < end; t += tile.n_queries) {
    fill_tile<X>(a, t, end, nullptr, tile);
    if (tile.n_queries == 1) fetch_keys(tile, a.dim);
    const int64_t row = t * a.n_heads;
    pack_panel(tile.queries, tile.stride, tile.n_lanes, static_cast<const X*>(a.q) + row * a.dim, a.dim, 1, a.dim);
    all_scores(tile, tile.queries, a.dim, &Segment<X>::scores);
    softmax(tile, static_cast<A>(a.scale));
    for (int64_t lane = 0; lane < tile.stride; lane += L) {
      const Vec<A> sum = load(tile.sum + lane);
      store(tile.max + lane, load(tile.max + lane) + log_of(sum));
      store(tile.sum + lane, 1 / sum);
    }
    __builtin_memcpy(static_cast<A*>(a.lse) + row, tile.max, static_cast<unsigned long>(tile.n_lanes) * sizeof(A));
    pack_values(tile, a.dim);
    write_weighted(tile, a.dim, tile.sum, static_cast<X*>(a.o) + row * a.dim, [](const Segment<X>& segment) { return reinterpret_cast<const Dot<X>*>(segment.scores); });
  }
}

// scores -> p = exp(scale * scores - lse);  grad_scores -> p (grad_scores - delta) scale, both as rows of X, the latter as steps too.
template <class X>
void softmax_backward(const Tile<X>& tile, Accumulate<X> scale, const Accumulate<X>* lse, const Accumulate<X>* delta) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>, K = kTermsOfStep<X>;
  for (int64_t lane = 0; lane < tile.stride; ++lane) {
    tile.max[lane] = lane < tile.n_lanes ? lse[lane] : A{};
    tile.sum[lane] = lane < tile.n_lanes ? delta[lane] : A{};
  }
  for_segments(tile, [&](const Segment<X>& segment) {
    hide(tile, segment);
    for (int64_t key = 0; key < segment.n_keys; key += K)
      for (int64_t lane = 0; lane < segment.width; lane += L) {
        const Vec<A> of_lane = load(tile.max + segment.lane + lane), shift = load(tile.sum + segment.lane + lane);
        Vec<A> terms[K]{};
        for (int k = 0; k < K && key + k < segment.n_keys; ++k) {
          A *score = segment.scores + (key + k) * segment.width, *grad = segment.grad_scores + (key + k) * segment.width;
          const Vec<A> p = exp_of(load(score + lane) * scale - of_lane);
          terms[k] = p * (load(grad + lane) - shift) * scale;
          store(reinterpret_cast<X*>(score) + lane, p);   // behind what was read
          store(reinterpret_cast<X*>(grad) + lane, terms[k]);
        }
        if constexpr (K > 1) store_step(segment.grad_steps + key / K * segment.width + lane, terms);
      }
  });
}

// grads[key][:] += sum over lanes of p * grad_o + grad_score * q
template <class X>
void add_key_gradients(const Tile<X>& tile, int64_t dim, const Dot<X>* query_rows, const Dot<X>* grad_o_rows) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  for_segments(tile, [&](const Segment<X>& segment) {
    const int64_t steps = dot_steps<X>(segment.n_lanes), first = segment.lane / kTermsOfStep<X>;
    cover(segment.n_keys, dim / L, [&]<int ROWS, int NV>(int64_t key, int64_t vector) {
      A* const* grads = tile.grads + segment.key + key;
      Vec<A> sum[ROWS][NV];
#pragma GCC unroll 12
      for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sum[i][v] = load(grads[i] + (vector + v) * L);
      const auto add = [&](const A* weights, const Dot<X>* panel) {
        const A* rows[ROWS];
        for (int i = 0; i < ROWS; ++i) rows[i] = weights + (key + i) * segment.width;
        add_products<ROWS, NV>(rows, sizeof(Dot<X>), panel + first * dim + vector * L, dim, steps, sum);
      };
      add(segment.scores, grad_o_rows);
      add(segment.grad_scores, query_rows);
#pragma GCC unroll 12
      for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) store(grads[i] + (vector + v) * L, sum[i][v]);
    });
  });
}

// Rows of lanes as the panel of sums over lanes.
template <class X>
const Dot<X>* lane_rows(Dot<X>* panel, const X* rows, int64_t n_lanes, int64_t dim) {
  if constexpr (kTermsOfStep<X> == 1) {
    return rows;
  } else {
    pack_rows<X>(panel, n_lanes, dim, [&](int64_t i) { return rows + i * dim; });
    return panel;
  }
}

template <class X>
void backward(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch, const AttentionKeyGrads& grads) {
  using A = Accumulate<X>;
  Tile<X> tile{};
  make_tile<X>(a, scratch, tile);
  for (int64_t t = begin; t < end; t += tile.n_queries) {
    fill_tile<X>(a, t, end, &grads, tile);
    const int64_t row = t * a.n_heads;
    const X *q = static_cast<const X*>(a.q) + row * a.dim, *grad_o = static_cast<const X*>(a.grad_o) + row * a.dim;
    pack_panel(tile.queries, tile.stride, tile.n_lanes, q, a.dim, 1, a.dim);
    pack_panel(tile.grad_o, tile.stride, tile.n_lanes, grad_o, a.dim, 1, a.dim);
    all_scores(tile, tile.queries, a.dim, &Segment<X>::scores);
    all_scores(tile, tile.grad_o, a.dim, &Segment<X>::grad_scores);
    softmax_backward(tile, static_cast<A>(a.scale), static_cast<const A*>(a.lse) + row, static_cast<const A*>(a.delta) + row);
    pack_values(tile, a.dim);
    write_weighted<X>(tile, a.dim, nullptr, static_cast<X*>(a.grad_q) + row * a.dim, [](const Segment<X>& segment) {
      if constexpr (kTermsOfStep<X> == 1) return static_cast<const Dot<X>*>(segment.grad_scores);
      else return static_cast<const Dot<X>*>(segment.grad_steps);
    });
    add_key_gradients(tile, a.dim, lane_rows(tile.query_rows, q, tile.n_lanes, a.dim), lane_rows(tile.grad_o_rows, grad_o, tile.n_lanes, a.dim));
  }
}

}  // namespace

void attention_scratch(const AttentionArgs& args, int64_t& bytes) {
  with_attention_element(args.element, [&]<class X>(X*) {
    Tile<X> tile{};
    bytes = (make_tile<X>(args, nullptr, tile) - static_cast<char*>(nullptr) + 63) / 64 * 64;
  });
}

void attention_forward(const AttentionArgs& args, int64_t begin, int64_t end, void* scratch) {
  with_attention_element(args.element, [&]<class X>(X*) { forward<X>(args, begin, end, scratch); });
}

void attention_backward(const AttentionArgs& args, int64_t begin, int64_t end, void* scratch, const AttentionKeyGrads& grads) {
  with_attention_element(args.element, [&]<class X>(X*) { backward<X>(args, begin, end, scratch, grads); });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
