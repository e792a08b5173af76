// mHC backward: the gradients of a site's streams and of its projection.  A block of tokens goes through all steps while its streams are
// in the second cache, and the rows of the next block are fetched meanwhile.

#include "kernels/cpu/isa/hc_fn_grad.h"
#include "kernels/cpu/isa/hc_lanes.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int kTokens = TEMPER_ISA_BYTES == 64 ? 4 : 2;   // at once: with 4 streams, sums that the vector registers hold
constexpr int64_t kGroups = 2;                            // of lanes of tokens in a block: the sums of grad_fn are read and written once for each
constexpr int64_t kLine = 64;

// What the steps of a block hand on.
template <class A>
struct Block {
  static constexpr int64_t kTokens = kGroups * kLanes<A>;
  A scaled[kTokens * kHcMaxC];   // [token][C] rho * gradient of mix
  A shrink[kTokens];             // factor of x in the gradient through the norm
};

// Sums over tokens, in each lane for its tokens.  They are long and cancel: in double.
template <class A>
struct LogitSums {
  static constexpr int kParts = kLanes<A> / kLanes<double>;
  Vec<double> base[kHcMaxC][kParts] = {}, mix[kHcMaxC][kParts] = {};

  void add(int64_t c, const Lane<A>& grad, const Lane<A>& value) {
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      const Vec<double> g = load_as(static_cast<double*>(nullptr), grad.at + part * kLanes<double>);
      base[c][part] += g;
      mix[c][part] += g * load_as(static_cast<double*>(nullptr), value.at + part * kLanes<double>);
    }
  }
  static double total(const Vec<double>* sums) {
    double sum = 0;
    for (int part = 0; part < kParts; ++part) sum += sum_lanes<double>(sums[part]);
    return sum;
  }
};

// Where the block's token t keeps the vector of column i (of the first stream) until its tile is summed up: tiles lie in one piece.
template <class A>
int64_t tile_place(const HcRows& a, int64_t t, int64_t i) {
  return ((t / kTokens * (a.D / kLanes<A>) + i / kLanes<A>) * kTokens + t % kTokens) * a.M * kLanes<A>;
}

// One token (`at` in the block) on its way through memory:  grad_pre[j] = grad_y . x_j,  and the tiles begin as  comb_j . dnext + pre_j dy
template <int kM, class X>
void start_token(const HcRows& a, int64_t t, int64_t at, Accumulate<X>* tiles, Lane<Accumulate<X>>* grad_pre) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>, kSize = kM ? kM : kHcMaxM;
  const int64_t M = kM ? kM : a.M, D = a.D, n = M * D;
  const X *dy = static_cast<const X*>(a.grad_y) + t * D, *x = static_cast<const X*>(a.streams) + t * n, *dnext = static_cast<const X*>(a.grad_next) + t * n;
  const A* coefficients = static_cast<const A*>(a.coefficients) + t * a.C;
  const bool head = a.head;
  Vec<A> dot[kSize] = {};
  int64_t i = 0;
  for (; i + L <= D; i += L) {
    const Vec<A> d = load(dy + i);
    Vec<A> sum[kSize];
#pragma GCC unroll 4
    for (int64_t j = 0; j < M; ++j) {
      dot[j] += d * load(x + j * D + i);
      sum[j] = d * coefficients[j];
    }
#pragma GCC unroll 4
    for (int64_t k = 0; k < M && !head; ++k) {
      const Vec<A> next = load(dnext + k * D + i);
#pragma GCC unroll 4
      for (int64_t j = 0; j < M; ++j) sum[j] += next * coefficients[2 * M + j * M + k];
    }
    A* tile = tiles + tile_place<A>(a, at, i);
#pragma GCC unroll 4
    for (int64_t j = 0; j < M; ++j) store(tile + j * L, sum[j]);
  }
  for (int64_t j = 0; j < M; ++j) {
    A total = sum_lanes<A>(dot[j]);
    for (int64_t k = i; k < D; ++k) total += to_float(dy[k]) * to_float(x[j * D + k]);
    grad_pre[j].at[at % L] = total;
  }
}

// Gradients of the coefficients -> of the logits and of the mix, one token in each lane.
template <int kM, class A>
void coefficients_backward(const HcRows& a, int64_t first, int64_t count, const Lane<A>* grad_pre, Vec<A>* steps, A* scaled, A* shrink, LogitSums<A>& sums) {
  const int64_t M = kM ? kM : a.M, C = a.C;
  const A *base = static_cast<const A*>(a.base), *scale = static_cast<const A*>(a.scale);
  Lane<A> mix[kHcMaxC], saved[kHcMaxC], grad[kHcMaxC], rho = {};
  gather(mix, static_cast<const A*>(a.mix) + first * C, C, count);
  gather(saved, static_cast<const A*>(a.coefficients) + first * C, C, count);
  for (int64_t t = 0; t < count; ++t) rho.at[t] = static_cast<const A*>(a.inv_rms)[first + t];
  for (int64_t i = 0; i < M; ++i) {
    const Vec<A> sigma = saved[i].get() - static_cast<A>(a.hc_eps);
    grad[i].set(grad_pre[i].get() * sigma * (1 - sigma));
  }
  if (!a.head) {
    Lane<A> given[kHcMaxC];
    gather(given, static_cast<const A*>(a.grad_coefficients) + first * C, C, count);
    for (int64_t i = 0; i < M; ++i) {
      const Vec<A> sigma = saved[M + i].get() * static_cast<A>(0.5);
      grad[M + i].set(given[M + i].get() * 2 * sigma * (1 - sigma));
    }
    Vec<A> logits[kHcMaxM * kHcMaxM] = {}, d[kHcMaxM * kHcMaxM] = {};
    for (int64_t i = 0; i < M * M; ++i) {
      logits[i] = mix[2 * M + i].get() * scale[2] + base[2 * M + i];
      d[i] = given[2 * M + i].get();
    }
    sinkhorn_backward<kM, A>(d, logits, M, a.sinkhorn_iters, static_cast<A>(a.hc_eps), steps);
    for (int64_t i = 0; i < M * M; ++i) grad[2 * M + i].set(d[i]);
  }
  Vec<A> dot{};
  for (int64_t c = 0; c < C; ++c) {
    if (a.grad_base) sums.add(c, grad[c], mix[c]);
    const Vec<A> grad_mix = grad[c].get() * scale[c < M ? 0 : c < 2 * M ? 1 : 2];
    dot += grad_mix * mix[c].get();
    grad[c].set(grad_mix * rho.get());
  }
  scatter(scaled, grad, C, count);
  store(shrink, rho.get() * rho.get() * dot / static_cast<A>(M * a.D));
}

// panel[i][c][j] = the vector fn[c][j * D + i * lanes ...]: what one column of vectors needs lies together.
template <class A>
void pack_columns(const HcRows& a, A* panel) {
  constexpr int L = kLanes<A>;
  const A* fn = static_cast<const A*>(a.fn);
  for (int64_t i = 0; i + L <= a.D; i += L)
    for (int64_t c = 0; c < a.C; ++c)
      for (int64_t j = 0; j < a.M; ++j, panel += L) store(panel, load(fn + (c * a.M + j) * a.D + i));
}

// Columns [i, i + lanes) of all streams for N tokens:  tile + scaled . fn - shrink x
template <int N, int kM, class X>
void streams_tile(const HcRows& a, int64_t first, int64_t i, const Accumulate<X>* tile, const Accumulate<X>* panel, const Accumulate<X>* scaled,
                  const Accumulate<X>* shrink) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>, kSize = kM ? kM : kHcMaxM;
  const int64_t M = kM ? kM : a.M, D = a.D, C = a.C, n = M * D;
  Vec<A> sum[N][kSize];
#pragma GCC unroll 4
  for (int t = 0; t < N; ++t) {
    const X* x = static_cast<const X*>(a.streams) + (first + t) * n + i;
#pragma GCC unroll 4
    for (int64_t j = 0; j < M; ++j) sum[t][j] = load(tile + (t * M + j) * L) - load(x + j * D) * shrink[t];
  }
  for (int64_t c = 0; c < C; ++c, panel += M * L) {
    Vec<A> row[kSize];
#pragma GCC unroll 4
    for (int64_t j = 0; j < M; ++j) row[j] = load(panel + j * L);
#pragma GCC unroll 4
    for (int t = 0; t < N; ++t)
#pragma GCC unroll 4
      for (int64_t j = 0; j < M; ++j) sum[t][j] += row[j] * scaled[t * C + c];
  }
#pragma GCC unroll 4
  for (int t = 0; t < N; ++t)
#pragma GCC unroll 4
    for (int64_t j = 0; j < M; ++j) store(static_cast<X*>(a.grad_streams) + (first + t) * n + j * D + i, sum[t][j]);
}

// The columns from i on that are no whole vector.
template <class X>
void last_columns(const HcRows& a, int64_t t, int64_t i, const Accumulate<X>* scaled, Accumulate<X> shrink) {
  using A = Accumulate<X>;
  const int64_t M = a.M, D = a.D, C = a.C, n = M * D;
  const A* coefficients = static_cast<const A*>(a.coefficients) + t * C;
  for (; i < D; ++i)
    for (int64_t j = 0; j < M; ++j) {
      const int64_t at = t * n + j * D + i;
      A sum = to_float(static_cast<const X*>(a.grad_y)[t * D + i]) * coefficients[j] - to_float(static_cast<const X*>(a.streams)[at]) * shrink;
      for (int64_t k = 0; k < M && !a.head; ++k)
        sum += to_float(static_cast<const X*>(a.grad_next)[t * n + k * D + i]) * coefficients[2 * M + j * M + k];
      for (int64_t c = 0; c < C; ++c) sum += static_cast<const A*>(a.fn)[c * n + j * D + i] * scaled[c];
      static_cast<X*>(a.grad_streams)[at] = from_float<X>(sum);
    }
}

// The places of the tokens' columns [i, i + 2 vectors) come into the cache before they are written: each is a short piece of a row, which the
// processor does not foresee.
template <class X>
void fetch_columns(const HcRows& a, int64_t i, int64_t first, int64_t count) {
  constexpr int64_t kStep = kLine / static_cast<int64_t>(sizeof(X)), kWidth = 2 * kLanes<Accumulate<X>>;
  for (int64_t t = first; t < first + count; ++t)
    for (int64_t j = 0; j < a.M; ++j)
      for (int64_t column = i; column < i + kWidth && column < a.D; column += kStep)
        __builtin_prefetch(static_cast<X*>(a.grad_streams) + (t * a.M + j) * a.D + column, 1);
}

// V vectors of columns from i on: the streams' gradient, and the part's sums of grad_fn.
template <int V, int kM, class X>
void block_columns(const HcRows& a, int64_t i, int64_t first, int64_t count, const Accumulate<X>* panel, const Accumulate<X>* tiles,
                   const Block<Accumulate<X>>& block, bool add) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t C = a.C, panel_step = C * a.M;   // panel: for column 0
  int64_t t = 0;
  for (; t + kTokens <= count; t += kTokens) {
    if (V == 2) fetch_columns<X>(a, i + 2 * L, first + t, kTokens);
    for (int64_t column = i; column < i + V * L; column += L)
      streams_tile<kTokens, kM, X>(a, first + t, column, tiles + tile_place<A>(a, t, column), panel + column * panel_step, block.scaled + t * C, block.shrink + t);
  }
  for (; t < count; ++t)
    for (int64_t column = i; column < i + V * L; column += L)
      streams_tile<1, kM, X>(a, first + t, column, tiles + tile_place<A>(a, t, column), panel + column * panel_step, block.scaled + t * C, block.shrink + t);
  if (a.grad_fn) fn_grad<V, X>(a, i, first, count, block.scaled, add);
}

template <int kM, class X>
void pre_backward(const HcRows& a, void* scratch, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t M = kM ? kM : a.M, D = a.D, C = a.C;
  Vec<A>* const steps = static_cast<Vec<A>*>(scratch);
  A* const panel = static_cast<A*>(scratch) + sinkhorn_scratch(M, a.sinkhorn_iters) * L;
  A* const tiles = panel + C * M * D;
  pack_columns(a, panel);
  LogitSums<A> sums;
  Block<A> block;
  for (int64_t first = begin; first < end; first += Block<A>::kTokens) {
    const auto size_of = [&](int64_t start) { return end - start < Block<A>::kTokens ? end - start : Block<A>::kTokens; };
    const int64_t count = size_of(first);
    fetch_columns<X>(a, 0, first, count);
    for (int64_t at = 0; at < count; at += L) {
      const int64_t size = count - at < L ? count - at : L;
      Lane<A> grad_pre[kHcMaxM] = {};
      for (int64_t t = at; t < at + size; ++t) start_token<kM, X>(a, first + t, t, tiles, grad_pre);
      coefficients_backward<kM, A>(a, first + at, size, grad_pre, steps, block.scaled + at * C, block.shrink + at, sums);
    }
    const bool add = first > begin;
    int64_t i = 0;
    for (; i + 2 * L <= D; i += 2 * L) {   // lines of bf16 are two vectors
      block_columns<2, kM, X>(a, i, first, count, panel, tiles, block, add);
    }
    for (; i + L <= D; i += L) block_columns<1, kM, X>(a, i, first, count, panel, tiles, block, add);
    for (int64_t t = 0; i < D && t < count; ++t) last_columns<X>(a, first + t, i, block.scaled + t * C, block.shrink[t]);
    if (a.grad_fn) fn_grad_last_columns<X>(a, i, first, count, block.scaled, add);
  }
  for (int64_t c = 0; c < C && a.grad_base; ++c) {
    a.grad_base[c] = sums.total(sums.base[c]);
    a.grad_mix[c] = sums.total(sums.mix[c]);
  }
}

}  // namespace

void hc_pre_backward_scratch(const HcRows& a, int64_t& bytes) {
  const int64_t sum_bytes = a.element == Element::kDouble ? 8 : 4, tokens = kGroups * TEMPER_ISA_BYTES / sum_bytes;
  bytes = sinkhorn_scratch(a.M, a.sinkhorn_iters) * TEMPER_ISA_BYTES + (a.C + tokens) * a.M * a.D * sum_bytes;   // fn and the tiles
}

void hc_pre_backward_rows(const HcRows& a, void* scratch, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { with_mult(a.M, [&]<int kM>() { pre_backward<kM, X>(a, scratch, begin, end); }); });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
