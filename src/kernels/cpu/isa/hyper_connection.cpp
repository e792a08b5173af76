// mHC forward, and the backward pass of its last step.  Tokens are taken a block of lanes at a time: the projection, sigmoid and
// Sinkhorn of all tokens of the block at once, one token in each lane.

#include "kernels/cpu/isa/hyper_connection.h"

#include "kernels/cpu/isa/hc_project.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

template <class A>
Vec<A> sigmoid(Vec<A> x) { return 1 / (1 + exp_of(-x)); }

// ---- Forward ----

// y = sum over j of pre_j * x_j
template <int kM, class X>
void weigh_streams(const HcRows& a, int64_t t) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t M = kM ? kM : a.M, D = a.D;
  const X* x = static_cast<const X*>(a.streams) + t * M * D;
  X* y = static_cast<X*>(a.y) + t * D;
  const A* pre = static_cast<const A*>(a.coefficients) + t * a.C;
  int64_t i = 0;
  for (; i + L <= D; i += L) {
    Vec<A> sum{};
#pragma GCC unroll 4
    for (int64_t j = 0; j < M; ++j) sum += load(x + j * D + i) * pre[j];
    store(y + i, sum);
  }
  for (; i < D; ++i) {
    A sum{};
    for (int64_t j = 0; j < M; ++j) sum += to_float(x[j * D + i]) * pre[j];
    y[i] = from_float<X>(sum);
  }
}

// The coefficients and y of one block.
template <int kM, class X>
void finish_block(const HcRows& a, int64_t first, int64_t count, Projection<Accumulate<X>>& projection) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t M = kM ? kM : a.M, C = a.C;
  const A *base = static_cast<const A*>(a.base), *scale = static_cast<const A*>(a.scale);
  Lane<A>* const mix = projection.mix;
  Lane<A> coefficients[kHcMaxC];
  Vec<A> rho = projection.squares.get() / static_cast<A>(M * a.D) + static_cast<A>(a.rms_norm_eps);
  for (int lane = 0; lane < L; ++lane) rho[lane] = static_cast<A>(1 / __builtin_sqrt(rho[lane]));
  const auto logit = [&](int64_t c, int64_t part) {
    const Vec<A> m = mix[c].get() * rho;
    mix[c].set(m);
    return m * scale[part] + base[c];
  };
  for (int64_t i = 0; i < M; ++i) coefficients[i].set(sigmoid<A>(logit(i, 0)) + static_cast<A>(a.hc_eps));
  if (!a.head) {
    for (int64_t i = 0; i < M; ++i) coefficients[M + i].set(2 * sigmoid<A>(logit(M + i, 1)));
    Vec<A> comb[kHcMaxM * kHcMaxM] = {};
    for (int64_t i = 0; i < M * M; ++i) comb[i] = logit(2 * M + i, 2);
    sinkhorn<kM, A>(comb, M, a.sinkhorn_iters, static_cast<A>(a.hc_eps));
    for (int64_t i = 0; i < M * M; ++i) coefficients[2 * M + i].set(comb[i]);
  }
  for (int64_t t = 0; t < count; ++t) static_cast<A*>(a.inv_rms)[first + t] = rho[t];
  scatter(static_cast<A*>(a.mix) + first * C, mix, C, count);
  scatter(static_cast<A*>(a.coefficients) + first * C, coefficients, C, count);
  for (int64_t t = 0; t < count; ++t) weigh_streams<kM, X>(a, first + t);
}

template <int kM, class X>
void pre(const HcRows& a, void* scratch, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t n = (kM ? kM : a.M) * a.D;
  const A* const fn = static_cast<const A*>(a.fn);
  A* const panel = static_cast<A*>(scratch);
  const bool packs = end - begin >= kPackedTokens * L;
  if (packs) pack_projection(fn, a.C, n, panel);
  for (int64_t first = begin; first < end; first += 2 * L) {
    const int64_t count = end - first < 2 * L ? end - first : 2 * L;
    const X* x = static_cast<const X*>(a.streams) + first * n;
    Projection<A> blocks[2];
    if (packs && count > L) project_blocks<2>(x, count, n, panel, a.C, blocks);
    else if (packs) project_blocks<1>(x, count, n, panel, a.C, blocks);
    else {
      project_tokens(x, count < L ? count : L, n, fn, a.C, blocks[0]);
      if (count > L) project_tokens(x + L * n, count - L, n, fn, a.C, blocks[1]);
    }
    finish_block<kM, X>(a, first, count < L ? count : L, blocks[0]);
    if (count > L) finish_block<kM, X>(a, first + L, count - L, blocks[1]);
  }
}

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
      Vec<A> sum[kHcMaxM];
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
  constexpr int L = kLanes<A>, kSize = kM ? kM : kHcMaxM;
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

}  // namespace

void hc_pre_scratch(const HcRows& a, int64_t& bytes) { bytes = a.C * a.M * a.D * (a.element == Element::kDouble ? 8 : 4); }

void hc_pre_rows(const HcRows& a, void* scratch, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { with_mult(a.M, [&]<int kM>() { pre<kM, X>(a, scratch, begin, end); }); });
}

void hc_post_rows(const HcRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { with_mult(a.M, [&]<int kM>() { post<kM, X>(a, begin, end); }); });
}

void hc_post_backward_rows(const HcRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { with_mult(a.M, [&]<int kM>() { post_backward<kM, X>(a, begin, end); }); });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
