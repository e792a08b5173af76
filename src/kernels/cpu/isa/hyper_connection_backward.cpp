// mHC backward: the gradient of a site's streams and of its projection, a block of lanes of tokens at a time.

#include "kernels/cpu/isa/hc_lanes.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int kTokens = TEMPER_ISA_BYTES == 64 ? 4 : 2;   // at once: with 4 streams, sums that the vector registers hold

template <class A>
void gather(Lane<A>* lanes, const A* rows, int64_t C, int64_t count) {
  for (int64_t c = 0; c < C; ++c)
    for (int64_t t = 0; t < kLanes<A>; ++t) lanes[c].at[t] = t < count ? rows[t * C + c] : A{};
}
template <class A>
void scatter(A* rows, const Lane<A>* lanes, int64_t C, int64_t count) {
  for (int64_t t = 0; t < count; ++t)
    for (int64_t c = 0; c < C; ++c) rows[t * C + c] = lanes[c].at[t];
}

// grad_pre[j] = grad_y . x_j of one token
template <int kM, class X>
void dots_of_streams(const HcRows& a, int64_t t, int64_t at, Lane<Accumulate<X>>* grad_pre) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t M = kM ? kM : a.M, D = a.D;
  const X *dy = static_cast<const X*>(a.grad_y) + t * D, *x = static_cast<const X*>(a.streams) + t * M * D;
  Vec<A> sum[kHcMaxM] = {};
  int64_t i = 0;
  for (; i + L <= D; i += L) {
    const Vec<A> d = load(dy + i);
#pragma GCC unroll 4
    for (int64_t j = 0; j < M; ++j) sum[j] += d * load(x + j * D + i);
  }
  for (int64_t j = 0; j < M; ++j) {
    A total = sum_lanes<A>(sum[j]);
    for (int64_t k = i; k < D; ++k) total += to_float(dy[k]) * to_float(x[j * D + k]);
    grad_pre[j].at[at] = total;
  }
}

// Gradients of the coefficients -> of the logits and of the mix, a block of tokens at once.  shrink: factor of x in the
// gradient through the norm.
template <int kM, class A>
void coefficients_backward(const HcRows& a, int64_t first, int64_t count, const Lane<A>* grad_pre, Vec<A>* steps, Lane<A>& shrink) {
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
  scatter(static_cast<A*>(a.grad_logits) + first * C, grad, C, count);
  Vec<A> dot{};
  for (int64_t c = 0; c < C; ++c) {
    const Vec<A> grad_mix = grad[c].get() * scale[c < M ? 0 : c < 2 * M ? 1 : 2];
    dot += grad_mix * mix[c].get();
    grad[c].set(grad_mix * rho.get());
  }
  scatter(static_cast<A*>(a.scaled) + first * C, grad, C, count);
  shrink.set(rho.get() * rho.get() * dot / static_cast<A>(M * a.D));
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

// Columns [i, i + lanes) of all streams for N tokens:  comb_j . dnext + pre_j dy + scaled . fn - shrink x
template <int N, int kM, class X>
void streams_tile(const HcRows& a, int64_t first, int64_t i, const Accumulate<X>* panel, const Accumulate<X>* shrink) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>, kSize = kM ? kM : kHcMaxM;
  const int64_t M = kM ? kM : a.M, D = a.D, C = a.C, n = M * D;
  Vec<A> sum[N][kSize];
#pragma GCC unroll 4
  for (int t = 0; t < N; ++t) {
    const X* x = static_cast<const X*>(a.streams) + (first + t) * n + i;
    const A* coefficients = static_cast<const A*>(a.coefficients) + (first + t) * C;
    const Vec<A> dy = load(static_cast<const X*>(a.grad_y) + (first + t) * D + i);
#pragma GCC unroll 4
    for (int64_t j = 0; j < M; ++j) sum[t][j] = dy * coefficients[j] - load(x + j * D) * shrink[t];
    if (a.head) continue;
    const X* dnext = static_cast<const X*>(a.grad_next) + (first + t) * n + i;
#pragma GCC unroll 4
    for (int64_t k = 0; k < M; ++k) {
      const Vec<A> d = load(dnext + k * D);
#pragma GCC unroll 4
      for (int64_t j = 0; j < M; ++j) sum[t][j] += d * coefficients[2 * M + j * M + k];
    }
  }
  const A* scaled = static_cast<const A*>(a.scaled) + first * C;
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
void last_columns(const HcRows& a, int64_t t, int64_t i, Accumulate<X> shrink) {
  using A = Accumulate<X>;
  const int64_t M = a.M, D = a.D, C = a.C, n = M * D;
  const A* coefficients = static_cast<const A*>(a.coefficients) + t * C;
  for (; i < D; ++i)
    for (int64_t j = 0; j < M; ++j) {
      const int64_t at = t * n + j * D + i;
      A sum = to_float(static_cast<const X*>(a.grad_y)[t * D + i]) * coefficients[j] - to_float(static_cast<const X*>(a.streams)[at]) * shrink;
      for (int64_t k = 0; k < M && !a.head; ++k)
        sum += to_float(static_cast<const X*>(a.grad_next)[t * n + k * D + i]) * coefficients[2 * M + j * M + k];
      for (int64_t c = 0; c < C; ++c) sum += static_cast<const A*>(a.fn)[c * n + j * D + i] * static_cast<const A*>(a.scaled)[t * C + c];
      static_cast<X*>(a.grad_streams)[at] = from_float<X>(sum);
    }
}

template <int kM, class X>
void pre_backward(const HcRows& a, void* scratch, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t M = kM ? kM : a.M, D = a.D;
  Vec<A>* const steps = static_cast<Vec<A>*>(scratch);
  A* const panel = static_cast<A*>(scratch) + 2 * a.sinkhorn_iters * M * M * L;
  pack_columns(a, panel);
  for (int64_t first = begin; first < end; first += L) {
    const int64_t count = end - first < L ? end - first : L;
    Lane<A> grad_pre[kHcMaxM] = {}, shrink = {};
    for (int64_t t = 0; t < count; ++t) dots_of_streams<kM, X>(a, first + t, t, grad_pre);
    coefficients_backward<kM, A>(a, first, count, grad_pre, steps, shrink);
    int64_t i = 0;
    for (; i + L <= D; i += L) {
      int64_t t = 0;
      for (; t + kTokens <= count; t += kTokens) streams_tile<kTokens, kM, X>(a, first + t, i, panel + i * a.C * M, shrink.at + t);
      for (; t < count; ++t) streams_tile<1, kM, X>(a, first + t, i, panel + i * a.C * M, shrink.at + t);
    }
    for (int64_t t = 0; i < D && t < count; ++t) last_columns<X>(a, first + t, i, shrink.at[t]);
  }
}

// R rows of grad_fn, V vectors of columns, tokens [t_begin, t_end).
template <int R, int V, class X>
void fn_grad_tile(const HcRows& a, Accumulate<X>* grad_fn, int64_t c, int64_t column, int64_t t_begin, int64_t t_end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t C = a.C, n = a.M * a.D;
  Vec<A> sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = load(grad_fn + (c + r) * n + column + v * L);
  for (int64_t t = t_begin; t < t_end; ++t) {
    const X* x = static_cast<const X*>(a.streams) + t * n + column;
    const A* scaled = static_cast<const A*>(a.scaled) + t * C + c;
    Vec<A> value[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) value[v] = load(x + v * L);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] += value[v] * scaled[r];
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(grad_fn + (c + r) * n + column + v * L, sum[r][v]);
}

template <class X>
void fn_grad(const HcRows& a, Accumulate<X>* grad_fn, int64_t n_tokens, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>, R = TEMPER_ISA_BYTES == 64 ? 12 : 4;
  constexpr int64_t kBlock = 64;   // their columns stay in the second cache for all rows
  const int64_t C = a.C, n = a.M * a.D;
  for (int64_t c = 0; c < C; ++c) __builtin_memset(grad_fn + c * n + begin, 0, static_cast<unsigned long>(end - begin) * sizeof(A));
  for (int64_t t = 0; t < n_tokens; t += kBlock) {
    const int64_t t_end = t + kBlock < n_tokens ? t + kBlock : n_tokens;
    int64_t column = begin;
    for (; column + 2 * L <= end; column += 2 * L) {
      int64_t c = 0;
      for (; c + R <= C; c += R) fn_grad_tile<R, 2, X>(a, grad_fn, c, column, t, t_end);
      for (; c < C; ++c) fn_grad_tile<1, 2, X>(a, grad_fn, c, column, t, t_end);
    }
    for (; column < end; ++column)
      for (int64_t c = 0; c < C; ++c) {
        A sum = grad_fn[c * n + column];
        for (int64_t k = t; k < t_end; ++k) sum += static_cast<const A*>(a.scaled)[k * C + c] * to_float(static_cast<const X*>(a.streams)[k * n + column]);
        grad_fn[c * n + column] = sum;
      }
  }
}

}  // namespace

void hc_pre_backward_scratch(const HcRows& a, int64_t& bytes) {
  bytes = 2 * a.sinkhorn_iters * a.M * a.M * TEMPER_ISA_BYTES + a.C * a.M * a.D * (a.element == Element::kDouble ? 8 : 4);
}

void hc_pre_backward_rows(const HcRows& a, void* scratch, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { with_mult(a.M, [&]<int kM>() { pre_backward<kM, X>(a, scratch, begin, end); }); });
}

void hc_fn_grad_columns(const HcRows& a, void* grad_fn, int64_t n_tokens, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { fn_grad<X>(a, static_cast<Accumulate<X>*>(grad_fn), n_tokens, begin, end); });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
