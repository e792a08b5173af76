// mHC for a range of tokens.  Tokens are taken a block of lanes at a time: sums over the streams token by token, then
// sigmoid and Sinkhorn for all tokens of the block at once, one token in each lane.

#include "kernels/cpu/isa/hyper_connection.h"

#include "kernels/cpu/isa/math.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int kMaxM = kHcMaxMult, kMaxC = 2 * kMaxM + kMaxM * kMaxM;
constexpr int kDotTokens = 4, kDotRows = TEMPER_ISA_BYTES == 64 ? 6 : 2;   // fill the vector registers

template <class A>
struct Lane {   // one value for each token of a block
  A at[kLanes<A>];
  Vec<A> get() const { return load(at); }
  void set(Vec<A> v) { store(at, v); }
};

template <class A>
Vec<A> sigmoid(Vec<A> x) { return 1 / (1 + exp_of(-x)); }

// out[c * lanes + token] = fn[c] . x[token] for N tokens and R rows of fn.
template <int N, int R, class X>
void dots(const X* x, int64_t n, const Accumulate<X>* fn, Accumulate<X>* out) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  Vec<A> sum[N][R] = {};
  int64_t i = 0;
  for (; i + L <= n; i += L) {
    Vec<A> row[R];
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) row[r] = load(fn + r * n + i);
#pragma GCC unroll 4
    for (int t = 0; t < N; ++t) {
      const Vec<A> v = load(x + t * n + i);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) sum[t][r] += v * row[r];
    }
  }
  for (int t = 0; t < N; ++t)
    for (int r = 0; r < R; ++r) {
      A total = sum_lanes<A>(sum[t][r]);
      for (int64_t k = i; k < n; ++k) total += to_float(x[t * n + k]) * fn[r * n + k];
      out[r * L + t] = total;
    }
}

template <int N, class X>
void all_dots(const X* x, int64_t n, const Accumulate<X>* fn, int64_t C, Accumulate<X>* out) {
  constexpr int L = kLanes<Accumulate<X>>;
  int64_t c = 0;
  for (; c + kDotRows <= C; c += kDotRows) dots<N, kDotRows>(x, n, fn + c * n, out + c * L);
  for (; c < C; ++c) dots<N, 1>(x, n, fn + c * n, out + c * L);
}

template <class X>
Accumulate<X> dot(const X* a, const X* b, int64_t n) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  Vec<A> sum{};
  int64_t i = 0;
  for (; i + L <= n; i += L) sum += load(a + i) * load(b + i);
  A total = sum_lanes<A>(sum);
  for (; i < n; ++i) total += to_float(a[i]) * to_float(b[i]);
  return total;
}

template <class A>
void normalise_rows(Vec<A>* m, int64_t M, A eps) {
  for (int64_t j = 0; j < M; ++j) {
    Vec<A> sum = broadcast(eps);
    for (int64_t k = 0; k < M; ++k) sum += m[j * M + k];
    const Vec<A> inverse = 1 / sum;
    for (int64_t k = 0; k < M; ++k) m[j * M + k] *= inverse;
  }
}
template <class A>
void normalise_columns(Vec<A>* m, int64_t M, A eps) {
  for (int64_t k = 0; k < M; ++k) {
    Vec<A> sum = broadcast(eps);
    for (int64_t j = 0; j < M; ++j) sum += m[j * M + k];
    const Vec<A> inverse = 1 / sum;
    for (int64_t j = 0; j < M; ++j) m[j * M + k] *= inverse;
  }
}

// Softmax along k of logits, in place.
template <class A>
void softmax_rows(Vec<A>* m, int64_t M) {
  for (int64_t j = 0; j < M; ++j) {
    Vec<A> largest = m[j * M];
    for (int64_t k = 1; k < M; ++k) largest = max_of(largest, m[j * M + k]);
    Vec<A> sum{};
    for (int64_t k = 0; k < M; ++k) sum += m[j * M + k] = exp_of(m[j * M + k] - largest);
    const Vec<A> inverse = 1 / sum;
    for (int64_t k = 0; k < M; ++k) m[j * M + k] *= inverse;
  }
}

template <class A>
void sinkhorn(Vec<A>* m, int64_t M, int64_t iters, A eps) {
  softmax_rows<A>(m, M);
  for (int64_t i = 0; i < M * M; ++i) m[i] += eps;
  normalise_columns<A>(m, M, eps);
  for (int64_t i = 1; i < iters; ++i) {
    normalise_rows<A>(m, M, eps);
    normalise_columns<A>(m, M, eps);
  }
}

// One normalisation backwards: x its input, y its output, d the gradient, changed in place.
template <class A>
void unnormalise(const Vec<A>* x, const Vec<A>* y, Vec<A>* d, int64_t M, int64_t along, int64_t across, A eps) {
  for (int64_t line = 0; line < M; ++line) {
    Vec<A> sum = broadcast(eps), dot{};
    for (int64_t i = 0; i < M; ++i) {
      const int64_t at = line * across + i * along;
      sum += x[at];
      dot += d[at] * y[at];
    }
    const Vec<A> inverse = 1 / sum;
    for (int64_t i = 0; i < M; ++i) {
      const int64_t at = line * across + i * along;
      d[at] = (d[at] - dot) * inverse;
    }
  }
}

// d: gradient of the result -> of the logits.  steps: (2 iters) * M * M vectors.
template <class A>
void sinkhorn_backward(Vec<A>* d, const Vec<A>* logits, int64_t M, int64_t iters, A eps, Vec<A>* steps) {
  const int64_t n = M * M;
  Vec<A>* first = steps;   // softmax, without eps
  for (int64_t i = 0; i < n; ++i) first[i] = logits[i];
  softmax_rows<A>(first, M);
  Vec<A>* inputs = steps + n;   // input of normalisation s at inputs + s * n
  for (int64_t i = 0; i < n; ++i) inputs[i] = first[i] + eps;
  const int64_t n_steps = 2 * iters - 1;
  Vec<A> last[kMaxM * kMaxM];
  for (int64_t s = 0; s < n_steps; ++s) {
    Vec<A>* next = s + 1 < n_steps ? inputs + (s + 1) * n : last;
    for (int64_t i = 0; i < n; ++i) next[i] = inputs[s * n + i];
    s % 2 == 0 ? normalise_columns<A>(next, M, eps) : normalise_rows<A>(next, M, eps);
  }
  for (int64_t s = n_steps; s-- > 0;) {
    const Vec<A>* y = s + 1 < n_steps ? inputs + (s + 1) * n : last;
    s % 2 == 0 ? unnormalise<A>(inputs + s * n, y, d, M, M, 1, eps) : unnormalise<A>(inputs + s * n, y, d, M, 1, M, eps);
  }
  for (int64_t j = 0; j < M; ++j) {
    Vec<A> sum{};
    for (int64_t k = 0; k < M; ++k) sum += d[j * M + k] * first[j * M + k];
    for (int64_t k = 0; k < M; ++k) d[j * M + k] = first[j * M + k] * (d[j * M + k] - sum);
  }
}

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

template <class X>
void pre(const HcRows& a, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t M = a.M, D = a.D, C = a.C, n = M * D;
  const A *fn = static_cast<const A*>(a.fn), *base = static_cast<const A*>(a.base), *scale = static_cast<const A*>(a.scale);
  for (int64_t first = begin; first < end; first += L) {
    const int64_t count = end - first < L ? end - first : L;
    const X* x = static_cast<const X*>(a.streams) + first * n;
    Lane<A> mix[kMaxC] = {}, squares = {}, coefficients[kMaxC];
    int64_t t = 0;
    for (; t + kDotTokens <= count; t += kDotTokens) all_dots<kDotTokens>(x + t * n, n, fn, C, &mix[0].at[t]);
    for (; t < count; ++t) all_dots<1>(x + t * n, n, fn, C, &mix[0].at[t]);
    for (t = 0; t < count; ++t) squares.at[t] = dot(x + t * n, x + t * n, n);

    Vec<A> rho = squares.get() / static_cast<A>(n) + static_cast<A>(a.rms_norm_eps);
    for (int lane = 0; lane < L; ++lane) rho[lane] = static_cast<A>(1 / __builtin_sqrt(rho[lane]));
    const auto logit = [&](int64_t c, int64_t part) {
      const Vec<A> m = mix[c].get() * rho;
      mix[c].set(m);
      return m * scale[part] + base[c];
    };
    for (int64_t i = 0; i < M; ++i) coefficients[i].set(sigmoid<A>(logit(i, 0)) + static_cast<A>(a.hc_eps));
    if (!a.head) {
      for (int64_t i = 0; i < M; ++i) coefficients[M + i].set(2 * sigmoid<A>(logit(M + i, 1)));
      Vec<A> comb[kMaxM * kMaxM];
      for (int64_t i = 0; i < M * M; ++i) comb[i] = logit(2 * M + i, 2);
      sinkhorn<A>(comb, M, a.sinkhorn_iters, static_cast<A>(a.hc_eps));
      for (int64_t i = 0; i < M * M; ++i) coefficients[2 * M + i].set(comb[i]);
    }
    for (t = 0; t < count; ++t) static_cast<A*>(a.inv_rms)[first + t] = rho[t];
    scatter(static_cast<A*>(a.mix) + first * C, mix, C, count);
    scatter(static_cast<A*>(a.coefficients) + first * C, coefficients, C, count);

    for (t = 0; t < count; ++t) {
      const X* token = x + t * n;
      X* y = static_cast<X*>(a.y) + (first + t) * D;
      int64_t i = 0;
      for (; i + L <= D; i += L) {
        Vec<A> sum = load(token + i) * coefficients[0].at[t];
        for (int64_t j = 1; j < M; ++j) sum += load(token + j * D + i) * coefficients[j].at[t];
        store(y + i, sum);
      }
      for (; i < D; ++i) {
        A sum{};
        for (int64_t j = 0; j < M; ++j) sum += to_float(token[j * D + i]) * coefficients[j].at[t];
        y[i] = from_float<X>(sum);
      }
    }
  }
}

// kM = 0: M is known at run time only.
template <int kM, class X>
void post(const HcRows& a, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t M = kM ? kM : a.M, D = a.D;
  for (int64_t t = begin; t < end; ++t) {
    const X *x = static_cast<const X*>(a.streams) + t * M * D, *out = static_cast<const X*>(a.out) + t * D;
    X* next = static_cast<X*>(a.next) + t * M * D;
    const A *weight = static_cast<const A*>(a.coefficients) + t * a.C + M, *comb = weight + M;
    int64_t i = 0;
    for (; i + L <= D; i += L) {
      const Vec<A> o = load(out + i);
      Vec<A> sum[kMaxM];
#pragma GCC unroll 4
      for (int64_t k = 0; k < M; ++k) sum[k] = o * weight[k];
#pragma GCC unroll 4
      for (int64_t j = 0; j < M; ++j) {
        const Vec<A> v = load(x + j * D + i);
#pragma GCC unroll 4
        for (int64_t k = 0; k < M; ++k) sum[k] += v * comb[j * M + k];
      }
#pragma GCC unroll 4
      for (int64_t k = 0; k < M; ++k) store(next + k * D + i, sum[k]);
    }
    for (; i < D; ++i)
      for (int64_t k = 0; k < M; ++k) {
        A sum = to_float(out[i]) * weight[k];
        for (int64_t j = 0; j < M; ++j) sum += to_float(x[j * D + i]) * comb[j * M + k];
        next[k * D + i] = from_float<X>(sum);
      }
  }
}

template <int kM, class X>
void post_backward(const HcRows& a, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>, kSize = kM ? kM : kMaxM;
  const int64_t M = kM ? kM : a.M, D = a.D;
  for (int64_t t = begin; t < end; ++t) {
    const X *x = static_cast<const X*>(a.streams) + t * M * D, *dy = static_cast<const X*>(a.grad_next) + t * M * D;
    const X* out = static_cast<const X*>(a.out) + t * D;
    X* grad_out = static_cast<X*>(a.grad_out) + t * D;
    const A* weight = static_cast<const A*>(a.coefficients) + t * a.C + M;
    A *grad_pre = static_cast<A*>(a.grad_coefficients) + t * a.C, *grad_post = grad_pre + M, *grad_comb = grad_post + M;
    Vec<A> post[kSize] = {}, comb[kSize * kSize] = {};
    int64_t i = 0;
    for (; i + L <= D; i += L) {
      const Vec<A> o = load(out + i);
      Vec<A> sum{}, d[kSize];
#pragma GCC unroll 4
      for (int64_t k = 0; k < M; ++k) {
        d[k] = load(dy + k * D + i);
        sum += d[k] * weight[k];
        post[k] += d[k] * o;
      }
      store(grad_out + i, sum);
#pragma GCC unroll 4
      for (int64_t j = 0; j < M; ++j) {
        const Vec<A> v = load(x + j * D + i);
#pragma GCC unroll 4
        for (int64_t k = 0; k < M; ++k) comb[j * M + k] += v * d[k];
      }
    }
    for (int64_t k = 0; k < M; ++k) {
      grad_pre[k] = 0;
      grad_post[k] = sum_lanes<A>(post[k]);
    }
    for (int64_t c = 0; c < M * M; ++c) grad_comb[c] = sum_lanes<A>(comb[c]);
    for (; i < D; ++i) {
      A sum{};
      for (int64_t k = 0; k < M; ++k) {
        const A d = to_float(dy[k * D + i]);
        sum += d * weight[k];
        grad_post[k] += d * to_float(out[i]);
        for (int64_t j = 0; j < M; ++j) grad_comb[j * M + k] += d * to_float(x[j * D + i]);
      }
      grad_out[i] = from_float<X>(sum);
    }
  }
}

// Gradients of the coefficients -> of the logits and of the mix, a block of tokens at once.  shrink: factor of x in the
// gradient through the norm.
template <class A>
void coefficients_backward(const HcRows& a, int64_t first, int64_t count, const Lane<A>* grad_pre, Vec<A>* steps, Lane<A>& shrink) {
  constexpr int L = kLanes<A>;
  const int64_t M = a.M, C = a.C;
  const A *base = static_cast<const A*>(a.base), *scale = static_cast<const A*>(a.scale);
  Lane<A> mix[kMaxC], saved[kMaxC], grad[kMaxC], rho = {};
  gather(mix, static_cast<const A*>(a.mix) + first * C, C, count);
  gather(saved, static_cast<const A*>(a.coefficients) + first * C, C, count);
  for (int64_t t = 0; t < count; ++t) rho.at[t] = static_cast<const A*>(a.inv_rms)[first + t];
  for (int64_t i = 0; i < M; ++i) {
    const Vec<A> sigma = saved[i].get() - static_cast<A>(a.hc_eps);
    grad[i].set(grad_pre[i].get() * sigma * (1 - sigma));
  }
  if (!a.head) {
    Lane<A> given[kMaxC];
    gather(given, static_cast<const A*>(a.grad_coefficients) + first * C, C, count);
    for (int64_t i = 0; i < M; ++i) {
      const Vec<A> sigma = saved[M + i].get() * static_cast<A>(0.5);
      grad[M + i].set(given[M + i].get() * 2 * sigma * (1 - sigma));
    }
    Vec<A> logits[kMaxM * kMaxM], d[kMaxM * kMaxM];
    for (int64_t i = 0; i < M * M; ++i) {
      logits[i] = mix[2 * M + i].get() * scale[2] + base[2 * M + i];
      d[i] = given[2 * M + i].get();
    }
    sinkhorn_backward<A>(d, logits, M, a.sinkhorn_iters, static_cast<A>(a.hc_eps), steps);
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
  static_assert(L > 0);
}

// Columns [i, i + V lanes) of stream j for N tokens:  comb_j . dnext + pre_j dy + scaled . fn - shrink x
template <int N, int V, class X>
void streams_tile(const HcRows& a, int64_t first, int64_t j, int64_t i, const Accumulate<X>* shrink) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t M = a.M, D = a.D, C = a.C, n = M * D;
  Vec<A> sum[N][V];
  for (int t = 0; t < N; ++t) {
    const X *x = static_cast<const X*>(a.streams) + (first + t) * n + j * D + i, *dy = static_cast<const X*>(a.grad_y) + (first + t) * D + i;
    const A* coefficients = static_cast<const A*>(a.coefficients) + (first + t) * C;
    for (int v = 0; v < V; ++v) sum[t][v] = load(dy + v * L) * coefficients[j] - load(x + v * L) * shrink[t];
    if (a.head) continue;
    const X* dnext = static_cast<const X*>(a.grad_next) + (first + t) * n + i;
    for (int64_t k = 0; k < M; ++k)
      for (int v = 0; v < V; ++v) sum[t][v] += load(dnext + k * D + v * L) * coefficients[2 * M + j * M + k];
  }
  const A *fn = static_cast<const A*>(a.fn) + j * D + i, *scaled = static_cast<const A*>(a.scaled) + first * C;
  for (int64_t c = 0; c < C; ++c) {
    Vec<A> row[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) row[v] = load(fn + c * n + v * L);
#pragma GCC unroll 4
    for (int t = 0; t < N; ++t)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[t][v] += row[v] * scaled[t * C + c];
  }
  for (int t = 0; t < N; ++t)
    for (int v = 0; v < V; ++v) store(static_cast<X*>(a.grad_streams) + (first + t) * n + j * D + i + v * L, sum[t][v]);
}

template <int N, class X>
void streams_of_tokens(const HcRows& a, int64_t first, const Accumulate<X>* shrink) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>, V = TEMPER_ISA_BYTES == 64 ? 4 : 2;
  const int64_t M = a.M, D = a.D, C = a.C, n = M * D;
  for (int64_t j = 0; j < M; ++j) {
    int64_t i = 0;
    for (; i + V * L <= D; i += V * L) streams_tile<N, V, X>(a, first, j, i, shrink);
    for (; i + L <= D; i += L) streams_tile<N, 1, X>(a, first, j, i, shrink);
    for (; i < D; ++i)
      for (int t = 0; t < N; ++t) {
        const int64_t at = (first + t) * n + j * D + i;
        const A* coefficients = static_cast<const A*>(a.coefficients) + (first + t) * C;
        A sum = to_float(static_cast<const X*>(a.grad_y)[(first + t) * D + i]) * coefficients[j] - to_float(static_cast<const X*>(a.streams)[at]) * shrink[t];
        for (int64_t k = 0; k < M && !a.head; ++k)
          sum += to_float(static_cast<const X*>(a.grad_next)[(first + t) * n + k * D + i]) * coefficients[2 * M + j * M + k];
        for (int64_t c = 0; c < C; ++c) sum += static_cast<const A*>(a.fn)[c * n + j * D + i] * static_cast<const A*>(a.scaled)[(first + t) * C + c];
        static_cast<X*>(a.grad_streams)[at] = from_float<X>(sum);
      }
  }
}

template <class X>
void pre_backward(const HcRows& a, void* scratch, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t M = a.M, D = a.D;
  for (int64_t first = begin; first < end; first += L) {
    const int64_t count = end - first < L ? end - first : L;
    Lane<A> grad_pre[kMaxM] = {}, shrink = {};
    for (int64_t t = 0; t < count; ++t)
      for (int64_t j = 0; j < M; ++j)
        grad_pre[j].at[t] = dot(static_cast<const X*>(a.grad_y) + (first + t) * D, static_cast<const X*>(a.streams) + ((first + t) * M + j) * D, D);
    coefficients_backward<A>(a, first, count, grad_pre, static_cast<Vec<A>*>(scratch), shrink);
    int64_t t = 0;
    for (; t + kDotTokens <= count; t += kDotTokens) streams_of_tokens<kDotTokens, X>(a, first + t, shrink.at + t);
    for (; t < count; ++t) streams_of_tokens<1, X>(a, first + t, shrink.at + t);
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
  constexpr int64_t kTokens = 64;   // their columns stay in the second cache for all rows
  const int64_t C = a.C, n = a.M * a.D;
  for (int64_t c = 0; c < C; ++c) __builtin_memset(grad_fn + c * n + begin, 0, static_cast<unsigned long>(end - begin) * sizeof(A));
  for (int64_t t = 0; t < n_tokens; t += kTokens) {
    const int64_t t_end = t + kTokens < n_tokens ? t + kTokens : n_tokens;
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

template <class F>
void with_mult(int64_t M, F&& f) {
  if (M == 4) return f.template operator()<4>();
  f.template operator()<0>();
}

}  // namespace

void hc_scratch_bytes(const HcRows& a, int64_t& bytes) { bytes = 2 * a.sinkhorn_iters * a.M * a.M * TEMPER_ISA_BYTES; }

void hc_pre_rows(const HcRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { pre<X>(a, begin, end); });
}

void hc_post_rows(const HcRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { with_mult(a.M, [&]<int kM>() { post<kM, X>(a, begin, end); }); });
}

void hc_post_backward_rows(const HcRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { with_mult(a.M, [&]<int kM>() { post_backward<kM, X>(a, begin, end); }); });
}

void hc_pre_backward_rows(const HcRows& a, void* scratch, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { pre_backward<X>(a, scratch, begin, end); });
}

void hc_fn_grad_columns(const HcRows& a, void* grad_fn, int64_t n_tokens, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { fn_grad<X>(a, static_cast<Accumulate<X>*>(grad_fn), n_tokens, begin, end); });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
