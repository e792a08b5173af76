#include "kernels/cpu/isa/indexer.h"

#include "kernels/cpu/isa/attention_tile.h"
#include "kernels/cpu/isa/math.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int64_t kKeysAtOnce = 48;   // their dot products stay in the first cache

template <class F>
void with_dot_element(Element element, F&& f) {
  if (element == Element::kDouble) return f(static_cast<double*>(nullptr));
#if defined(__AVX512BF16__)
  if (element == Element::kBFloat16) return f(static_cast<bf16*>(nullptr));
#endif
  f(static_cast<float*>(nullptr));
}

template <class X>
int64_t round_to_lanes(int64_t n) {
  constexpr int L = kLanes<Accumulate<X>>;
  return (n + L - 1) / L * L;
}

// out[i][columns] = sum_j weights[j * width + i] * keys[j][columns], weights not rounded to the keys' type
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

// grads[i][columns] += sum over lanes of weights[i][lane] * x[lane][columns]
template <int ROWS, int NV, class X>
inline void add_outer(int64_t n_lanes, const Accumulate<X>* weights, const X* x, int64_t width, int64_t dim, int64_t column, Accumulate<X>* const* grads) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  Vec<A> sum[ROWS][NV];
#pragma GCC unroll 12
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) sum[i][v] = load(grads[i] + column + v * L);
  for (int64_t lane = 0; lane < n_lanes; ++lane) {
    Vec<A> row[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) row[v] = load(x + lane * dim + column + v * L);
#pragma GCC unroll 12
    for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[i][v] += broadcast(weights[i * width + lane]) * row[v];
  }
#pragma GCC unroll 12
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) store(grads[i] + column + v * L, sum[i][v]);
}

// Splits the scratch into arrays of 64-byte alignment.
struct Cursor {
  char* next;
  template <class T>
  T* take(int64_t count) {
    T* pointer = reinterpret_cast<T*>(next);
    next += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return pointer;
  }
};

// What a block of queries is scored with.  Lanes are queries: the sum over heads needs no sum over lanes.
template <class X>
struct QueryBlock {
  using A = Accumulate<X>;
  int64_t width;
  Dot<X>* panels;   // [heads][steps][width]
  A* weights;       // [heads][width]
  A *dots, *sums;   // [kKeysAtOnce][width]
};

template <class X>
QueryBlock<X> query_block(const IndexerArgs& a, int64_t n_queries, void* scratch) {
  Cursor cursor{static_cast<char*>(scratch)};
  QueryBlock<X> block{};
  block.width = round_to_lanes<X>(n_queries);
  block.panels = cursor.take<Dot<X>>(a.n_heads * dot_steps<X>(a.dim) * block.width);
  block.weights = cursor.take<Accumulate<X>>(a.n_heads * block.width);
  block.dots = cursor.take<Accumulate<X>>(kKeysAtOnce * block.width);
  block.sums = cursor.take<Accumulate<X>>(kKeysAtOnce * block.width);
  return block;
}

template <class X>
void pack_queries(const IndexerArgs& a, int64_t first, int64_t n_queries, void* scratch) {
  using A = Accumulate<X>;
  const QueryBlock<X> block = query_block<X>(a, n_queries, scratch);
  const int64_t steps = dot_steps<X>(a.dim), width = block.width;
  for (int64_t h = 0; h < a.n_heads; ++h) {
    pack_panel(block.panels + h * steps * width, width, n_queries, static_cast<const X*>(a.q) + (first * a.n_heads + h) * a.dim, a.n_heads * a.dim, 1, a.dim);
    for (int64_t i = 0; i < width; ++i) block.weights[h * width + i] = i < n_queries ? static_cast<const A*>(a.weights)[(first + i) * a.n_heads + h] : A{};
  }
}

// block.sums[i][query] = score of keys[i]
template <class X>
void score_keys(const IndexerArgs& a, const QueryBlock<X>& block, const X* keys, int64_t count) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t width = block.width;
  const X* rows[kKeysAtOnce];
  for (int64_t i = 0; i < count; ++i) rows[i] = keys + i * a.dim;
  for (int64_t h = 0; h < a.n_heads; ++h) {
    all_dots<X>(rows, count, block.panels + h * dot_steps<X>(a.dim) * width, width, a.dim, block.dots, width);
    for (int64_t lane = 0; lane < width; lane += L) {
      const Vec<A> weight = load(block.weights + h * width + lane);
      for (int64_t i = 0; i < count; ++i) {
        const Vec<A> dot = load(block.dots + i * width + lane), term = (dot < 0 ? Vec<A>{} : dot) * weight;
        store(block.sums + i * width + lane, h == 0 ? term : load(block.sums + i * width + lane) + term);
      }
    }
  }
}

// Bit i: lane i of `value` is not at most that of `bound` (also where the bound is NaN).
template <class A>
inline uint32_t lanes_above(Vec<A> value, Vec<A> bound) {
#if defined(__AVX512F__)
  if constexpr (sizeof(A) == 4)
    return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(value), reinterpret_cast<__m512>(bound), _CMP_NLE_UQ);
  else
    return _mm512_cmp_pd_mask(reinterpret_cast<__m512d>(value), reinterpret_cast<__m512d>(bound), _CMP_NLE_UQ);
#else
  uint32_t bits = 0;
  for (int i = 0; i < kLanes<A>; ++i) bits |= static_cast<uint32_t>(!(value[i] <= bound[i])) << i;
  return bits;
#endif
}

template <class X>
void collect(const IndexerArgs& a, const IndexerCandidates& c, int64_t key_begin, int64_t n_keys, void* scratch) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const QueryBlock<X> block = query_block<X>(a, c.n_queries, scratch);
  const A lowest = static_cast<A>(-__FLT_MAX__);
  for (int64_t key = key_begin; key < key_begin + n_keys; key += kKeysAtOnce) {
    const int64_t count = key_begin + n_keys - key < kKeysAtOnce ? key_begin + n_keys - key : kKeysAtOnce;
    score_keys<X>(a, block, static_cast<const X*>(a.keys) + key * a.dim, count);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t lane = 0; lane < block.width; lane += L) {
        const Vec<A> raw = load(block.sums + i * block.width + lane), score = raw == raw ? raw : broadcast(lowest);
        for (uint32_t hits = lanes_above<A>(score, load(static_cast<const A*>(c.thresholds) + lane)); hits != 0; hits &= hits - 1) {
          const int64_t at = __builtin_ctz(hits), query = lane + at;
          if (query >= c.n_queries || key + i >= c.ends[query]) continue;
          const int64_t place = query * c.capacity + c.counts[query]++;
          static_cast<A*>(c.scores)[place] = score[at];
          c.rows[place] = static_cast<int32_t>(key + i);
        }
      }
  }
}

// Lanes are heads: for single queries, and for lists of keys.  Leaves the dot products in `dots` [n_keys][width].
template <class X>
void scores_of_one(const IndexerArgs& a, int64_t t, const X* const* keys, int64_t n_keys, Dot<X>* panel, Accumulate<X>* weights, Accumulate<X>* dots, Accumulate<X>* scores) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t width = round_to_lanes<X>(a.n_heads);
  pack_panel(panel, width, a.n_heads, static_cast<const X*>(a.q) + t * a.n_heads * a.dim, a.dim, 1, a.dim);
  for (int64_t h = 0; h < width; ++h) weights[h] = h < a.n_heads ? static_cast<const A*>(a.weights)[t * a.n_heads + h] : A{};
  all_dots<X>(keys, n_keys, panel, width, a.dim, dots, width);
  for (int64_t i = 0; i < n_keys; ++i) {
    Vec<A> sum{};
    for (int64_t lane = 0; lane < width; lane += L) {
      const Vec<A> dot = load(dots + i * width + lane);
      sum += (dot < 0 ? Vec<A>{} : dot) * load(weights + lane);
    }
    scores[i] = sum_lanes<A>(sum);
  }
}

// ---- Loss ----

template <class X>
struct LossScratch {
  using A = Accumulate<X>;
  const X** entries;    // [n] attended entries
  const X** keys;       // [n] the indexer's keys of the same entries
  A** grad_keys;        // [n]
  Dot<X>* panel;
  A *weights, *lanes, *dots, *teacher, *scores, *grad_row;
};

template <class X>
int64_t most_keys(const IndexerLossArgs& a) { return a.attention.max_keys; }

template <class X>
LossScratch<X> split(const IndexerLossArgs& a, char*& next) {
  using A = Accumulate<X>;
  const int64_t n = most_keys<X>(a), width = round_to_lanes<X>(a.attention.n_heads), index_width = round_to_lanes<X>(a.indexer.n_heads);
  const int64_t widest = width > index_width ? width : index_width, dim = a.attention.dim > a.indexer.dim ? a.attention.dim : a.indexer.dim;
  Cursor cursor{next};
  LossScratch<X> s{};
  s.entries = cursor.take<const X*>(n);
  s.keys = cursor.take<const X*>(n);
  s.grad_keys = cursor.take<A*>(n);
  s.panel = cursor.take<Dot<X>>(dim * widest);
  s.weights = cursor.take<A>(widest);
  s.lanes = cursor.take<A>(widest);
  s.dots = cursor.take<A>(n * widest);
  s.teacher = cursor.take<A>(n);
  s.scores = cursor.take<A>(n);
  s.grad_row = cursor.take<A>(24 * kLanes<A>);
  next = cursor.next;
  return s;
}

// teacher[i] = attention paid to entry i, summed over heads; returns the sum over i.
template <class X>
Accumulate<X> pay(const IndexerLossArgs& a, int64_t t, int64_t n, const LossScratch<X>& s) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const AttentionArgs& attention = a.attention;
  const int64_t H = attention.n_heads, width = round_to_lanes<X>(H);
  pack_panel(s.panel, width, H, static_cast<const X*>(attention.q) + t * H * attention.dim, attention.dim, 1, attention.dim);
  for (int64_t h = 0; h < width; ++h) s.lanes[h] = h < H ? static_cast<const A*>(attention.lse)[t * H + h] : static_cast<A>(__builtin_inf());
  all_dots<X>(s.entries, n, s.panel, width, attention.dim, s.dots, width);
  A total{};
  for (int64_t i = 0; i < n; ++i) {
    Vec<A> sum{};
    for (int64_t lane = 0; lane < width; lane += L) sum += exp_of(load(s.dots + i * width + lane) * static_cast<A>(attention.scale) - load(s.lanes + lane));
    s.teacher[i] = sum_lanes<A>(sum);
    total += s.teacher[i];
  }
  return total;
}

// scores -> softmax(scores) - teacher; returns the divergence.
template <class A>
A divergence(int64_t n, A total, A* teacher, A* scores) {
  A max = -static_cast<A>(__builtin_inf()), sum{}, loss{};
  for (int64_t i = 0; i < n; ++i) max = scores[i] > max ? scores[i] : max;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<A>(__builtin_exp(scores[i] - max));
  const A log_sum = max + static_cast<A>(__builtin_log(sum));
  for (int64_t i = 0; i < n; ++i) {
    const A p = teacher[i] / total, log_student = scores[i] - log_sum;
    if (p > 0) loss += p * (static_cast<A>(__builtin_log(p)) - log_student);
    scores[i] = static_cast<A>(__builtin_exp(log_student)) - p;
  }
  return loss;
}

template <class X>
void loss_queries(const IndexerLossArgs& a, int64_t begin, int64_t end, void* scratch, Accumulate<X>* grad_keys, int64_t keys_first) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const AttentionArgs& attention = a.attention;
  const IndexerArgs& indexer = a.indexer;
  const int64_t Hi = indexer.n_heads, dim = indexer.dim, width = round_to_lanes<X>(Hi);
  char* next = static_cast<char*>(scratch);
  const LossScratch<X> s = split<X>(a, next);
  for (int64_t t = begin; t < end; ++t) {
    A *grad_q = static_cast<A*>(a.grad_q) + t * Hi * dim, *grad_weights = static_cast<A*>(a.grad_weights) + t * Hi;
    int64_t n = 0;
    const auto add = [&](int64_t row) {
      s.entries[n] = static_cast<const X*>(attention.entries) + row * attention.dim;
      s.keys[n] = static_cast<const X*>(indexer.keys) + row * dim;
      s.grad_keys[n++] = grad_keys + (row - keys_first) * dim;
    };
    if (is_sparse(attention, t)) {
      for (int64_t i = 0; i < attention.n_selected; ++i)
        if (attention.selected[t * attention.n_selected + i] >= 0) add(attention.selected[t * attention.n_selected + i]);
    } else {
      for (int64_t row = attention.entry_begin[t]; row < attention.entry_end[t]; ++row) add(row);
    }
    static_cast<A*>(a.loss)[t] = 0;
    const A total = n == 0 ? A{} : pay(a, t, n, s);
    if (!(total > 0)) {   // nothing to learn from
      for (int64_t i = 0; i < Hi * dim; ++i) grad_q[i] = 0;
      for (int64_t h = 0; h < Hi; ++h) grad_weights[h] = 0;
      continue;
    }
    scores_of_one<X>(indexer, t, s.keys, n, s.panel, s.weights, s.dots, s.scores);
    static_cast<A*>(a.loss)[t] = divergence(n, total, s.teacher, s.scores);

    // dots -> gradient of the dot products; the weights' gradient on the way.
    for (int64_t lane = 0; lane < width; lane += L) store(s.lanes + lane, Vec<A>{});
    for (int64_t i = 0; i < n; ++i)
      for (int64_t lane = 0; lane < width; lane += L) {
        const Vec<A> dot = load(s.dots + i * width + lane), open = dot > 0 ? broadcast(s.scores[i]) : Vec<A>{};
        store(s.lanes + lane, load(s.lanes + lane) + open * dot);
        store(s.dots + i * width + lane, open * load(s.weights + lane));
      }
    for (int64_t h = 0; h < Hi; ++h) grad_weights[h] = s.lanes[h];
    cover(Hi, dim / L, [&]<int ROWS, int NV>(int64_t h, int64_t vector) {
      weighted_rows<ROWS, NV, X>(n, s.dots + h, width, s.keys, vector * L, grad_q + h * dim + vector * L, dim);
    });
    const X* q = static_cast<const X*>(indexer.q) + t * Hi * dim;
    cover(n, dim / L, [&]<int ROWS, int NV>(int64_t key, int64_t vector) {
      add_outer<ROWS, NV, X>(Hi, s.dots + key * width, q, width, dim, vector * L, s.grad_keys + key);
    });
  }
}

}  // namespace

void indexer_scratch(const IndexerArgs& a, int64_t& bytes) {
  with_dot_element(a.element, [&]<class X>(X*) {
    using A = Accumulate<X>;
    const int64_t width = round_to_lanes<X>(a.n_heads) > kScoreQueries ? round_to_lanes<X>(a.n_heads) : kScoreQueries;
    bytes = (a.n_heads * (a.dim + 1) * kScoreQueries + width * (a.dim + 2 * kKeysAtOnce + 2)) * static_cast<int64_t>(sizeof(A)) + 512;
    bytes = (bytes + 63) / 64 * 64;
  });
}

void indexer_scores(const IndexerArgs& a, int64_t query, int64_t key_begin, int64_t n_keys, void* scratch, void* scores) {
  with_dot_element(a.element, [&]<class X>(X*) {
    using A = Accumulate<X>;
    const int64_t width = round_to_lanes<X>(a.n_heads);
    Cursor cursor{static_cast<char*>(scratch)};
    Dot<X>* panel = cursor.take<Dot<X>>(a.dim * width);
    A *weights = cursor.take<A>(width), *dots = cursor.take<A>(kKeysAtOnce * width);
    const X* rows[kKeysAtOnce];
    for (int64_t key = 0; key < n_keys; key += kKeysAtOnce) {
      const int64_t count = n_keys - key < kKeysAtOnce ? n_keys - key : kKeysAtOnce;
      for (int64_t i = 0; i < count; ++i) rows[i] = static_cast<const X*>(a.keys) + (key_begin + key + i) * a.dim;
      scores_of_one<X>(a, query, rows, count, panel, weights, dots, static_cast<A*>(scores) + key);
    }
  });
}

void indexer_pack_queries(const IndexerArgs& a, int64_t first, int64_t n_queries, void* scratch) {
  with_dot_element(a.element, [&]<class X>(X*) { pack_queries<X>(a, first, n_queries, scratch); });
}

void indexer_candidates(const IndexerArgs& a, const IndexerCandidates& candidates, int64_t key_begin, int64_t n_keys, void* scratch) {
  with_dot_element(a.element, [&]<class X>(X*) { collect<X>(a, candidates, key_begin, n_keys, scratch); });
}

void indexer_loss_scratch(const IndexerLossArgs& args, int64_t& bytes) {
  with_dot_element(args.indexer.element, [&]<class X>(X*) {
    char* next = nullptr;
    split<X>(args, next);
    bytes = next - static_cast<char*>(nullptr);
  });
}

void indexer_loss_queries(const IndexerLossArgs& args, int64_t begin, int64_t end, void* scratch, void* grad_keys, int64_t keys_first) {
  with_dot_element(args.indexer.element, [&]<class X>(X*) { loss_queries<X>(args, begin, end, scratch, static_cast<Accumulate<X>*>(grad_keys), keys_first); });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
