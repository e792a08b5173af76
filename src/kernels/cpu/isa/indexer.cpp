#include "kernels/cpu/isa/indexer.h"

#include "kernels/cpu/isa/attention_tile.h"
#include "kernels/cpu/isa/math.h"

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

// dots[i][lane] = keys[i] . panel[:, lane]
template <class X>
void dots_of(const X* const* keys, int64_t n_keys, const Dot<X>* panel, int64_t dim, int64_t width, Accumulate<X>* dots) {
  constexpr int L = kLanes<Accumulate<X>>;
  cover(n_keys, width / L, [&]<int ROWS, int NV>(int64_t key, int64_t vector) {
    dot_rows<ROWS, NV, X>(keys + key, panel + vector * L, steps_of(dim, static_cast<Dot<X>*>(nullptr)), width, dots + key * width + vector * L);
  });
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

// Lanes are queries: the sum over heads needs no sum over lanes.  scores [n_queries, n_keys].
template <class X>
void scores_of_many(const IndexerArgs& a, int64_t first, int64_t n_queries, const X* keys, int64_t n_keys, void* scratch, Accumulate<X>* scores) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t width = round_to_lanes<X>(n_queries), steps = steps_of(a.dim, static_cast<Dot<X>*>(nullptr));
  Cursor cursor{static_cast<char*>(scratch)};
  Dot<X>* panels = cursor.take<Dot<X>>(a.n_heads * steps * width);   // [heads][steps][width]
  A* weights = cursor.take<A>(a.n_heads * width);                    // [heads][width]
  A* dots = cursor.take<A>(kKeysAtOnce * width);
  A* sums = cursor.take<A>(kKeysAtOnce * width);
  for (int64_t h = 0; h < a.n_heads; ++h) {
    pack_panel(panels + h * steps * width, width, n_queries, static_cast<const X*>(a.q) + (first * a.n_heads + h) * a.dim, a.n_heads * a.dim, 1, a.dim);
    for (int64_t i = 0; i < width; ++i) weights[h * width + i] = i < n_queries ? static_cast<const A*>(a.weights)[(first + i) * a.n_heads + h] : A{};
  }
  const X* rows[kKeysAtOnce];
  for (int64_t key = 0; key < n_keys; key += kKeysAtOnce) {
    const int64_t count = n_keys - key < kKeysAtOnce ? n_keys - key : kKeysAtOnce;
    for (int64_t i = 0; i < count; ++i) rows[i] = keys + (key + i) * a.dim;
    for (int64_t i = 0; i < count * width; i += L) store(sums + i, Vec<A>{});
    for (int64_t h = 0; h < a.n_heads; ++h) {
      dots_of<X>(rows, count, panels + h * steps * width, a.dim, width, dots);
      for (int64_t i = 0; i < count; ++i)
        for (int64_t lane = 0; lane < width; lane += L) {
          const Vec<A> dot = load(dots + i * width + lane);
          store(sums + i * width + lane, load(sums + i * width + lane) + (dot < 0 ? Vec<A>{} : dot) * load(weights + h * width + lane));
        }
    }
    for (int64_t query = 0; query < n_queries; ++query)
      for (int64_t i = 0; i < count; ++i) scores[query * n_keys + key + i] = sums[i * width + query];
  }
}

// Lanes are heads: for a few queries, and for lists of keys.  Leaves the dot products in `dots` [n_keys][width].
template <class X>
void scores_of_one(const IndexerArgs& a, int64_t t, const X* const* keys, int64_t n_keys, Dot<X>* panel, Accumulate<X>* weights, Accumulate<X>* dots, Accumulate<X>* scores) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t width = round_to_lanes<X>(a.n_heads);
  pack_panel(panel, width, a.n_heads, static_cast<const X*>(a.q) + t * a.n_heads * a.dim, a.dim, 1, a.dim);
  for (int64_t h = 0; h < width; ++h) weights[h] = h < a.n_heads ? static_cast<const A*>(a.weights)[t * a.n_heads + h] : A{};
  dots_of<X>(keys, n_keys, panel, a.dim, width, dots);
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
  dots_of<X>(s.entries, n, s.panel, attention.dim, width, s.dots);
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
      add_outer<ROWS, NV, X>(Hi, s.dots + key * width, q, nullptr, nullptr, width, dim, vector * L, s.grad_keys + key);
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

void indexer_scores(const IndexerArgs& a, int64_t first, int64_t n_queries, int64_t key_begin, int64_t n_keys, void* scratch, void* scores_out) {
  with_dot_element(a.element, [&]<class X>(X*) {
    using A = Accumulate<X>;
    A* scores = static_cast<A*>(scores_out);
    const X* keys = static_cast<const X*>(a.keys) + key_begin * a.dim;
    if (n_queries >= 4) return scores_of_many<X>(a, first, n_queries, keys, n_keys, scratch, scores);
    const int64_t width = round_to_lanes<X>(a.n_heads);
    Cursor cursor{static_cast<char*>(scratch)};
    Dot<X>* panel = cursor.take<Dot<X>>(a.dim * width);
    A *weights = cursor.take<A>(width), *dots = cursor.take<A>(kKeysAtOnce * width);
    const X* rows[kKeysAtOnce];
    for (int64_t query = 0; query < n_queries; ++query)
      for (int64_t key = 0; key < n_keys; key += kKeysAtOnce) {
        const int64_t count = n_keys - key < kKeysAtOnce ? n_keys - key : kKeysAtOnce;
        for (int64_t i = 0; i < count; ++i) rows[i] = keys + (key + i) * a.dim;
        scores_of_one<X>(a, first + query, rows, count, panel, weights, dots, scores + query * n_keys + key);
      }
  });
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
