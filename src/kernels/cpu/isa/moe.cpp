#include "kernels/cpu/isa/moe.h"

#include "kernels/cpu/isa/math.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

// n elements of x as vectors; the last vector may be partial: its missing lanes are `fill`.
template <class X>
Vec<Accumulate<X>> load_some(const X* x, int64_t n, Accumulate<X> fill = 0) {
  using A = Accumulate<X>;
  if (n >= kLanes<A>) return load(x);
  A lanes[kLanes<A>];
  for (int64_t i = 0; i < kLanes<A>; ++i) lanes[i] = i < n ? to_float(x[i]) : fill;
  return load(lanes);
}
template <class X>
void store_some(X* x, Vec<Accumulate<X>> v, int64_t n) {
  using A = Accumulate<X>;
  if (n >= kLanes<A>) return store(x, v);
  A lanes[kLanes<A>];
  store(lanes, v);
  for (int64_t i = 0; i < n; ++i) x[i] = from_float<X>(lanes[i]);
}

template <class A>
struct Limits {
  Vec<A> high;
  bool on;
  Vec<A> gate(Vec<A> x) const { return on ? (x > high ? high : x) : x; }
  Vec<A> up(Vec<A> x) const { return on ? (x > high ? high : x < -high ? -high : x) : x; }
};

template <class X>
void swiglu(const SwigluRows& a, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  const int64_t F = a.F;
  const Limits<A> limits{broadcast(static_cast<A>(a.limit)), a.limit > 0};
  for (int64_t row = begin; row < end; ++row) {
    const X* in = static_cast<const X*>(a.gate_up) + row * 2 * F;
    X* out = static_cast<X*>(a.out) + row * F;
    const A weight = a.row_weights ? static_cast<const A*>(a.row_weights)[row] : A{1};
    for (int64_t i = 0; i < F; i += kLanes<A>) {
      const Vec<A> gate = limits.gate(load_some(in + i, F - i)), up = limits.up(load_some(in + F + i, F - i));
      store_some(out + i, gate / (1 + exp_of(-gate)) * up * weight, F - i);
    }
  }
}

template <class X>
void swiglu_backward(const SwigluRows& a, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  const int64_t F = a.F;
  const Limits<A> limits{broadcast(static_cast<A>(a.limit)), a.limit > 0};
  for (int64_t row = begin; row < end; ++row) {
    const X *in = static_cast<const X*>(a.gate_up) + row * 2 * F, *grad = static_cast<const X*>(a.grad) + row * F;
    X* out = static_cast<X*>(a.grad_gate_up) + row * 2 * F;
    const A weight = a.row_weights ? static_cast<const A*>(a.row_weights)[row] : A{1};
    Vec<A> grad_weight{};
    for (int64_t i = 0; i < F; i += kLanes<A>) {
      const Vec<A> raw_gate = load_some(in + i, F - i), raw_up = load_some(in + F + i, F - i), d = load_some(grad + i, F - i);
      const Vec<A> gate = limits.gate(raw_gate), up = limits.up(raw_up);
      const Vec<A> sigma = 1 / (1 + exp_of(-gate)), silu = gate * sigma, weighted = d * weight;
      grad_weight += d * silu * up;
      Vec<A> grad_gate = weighted * up * sigma * (1 + gate * (1 - sigma)), grad_up = weighted * silu;
      if (limits.on) {   // the gradient passes at equality
        grad_gate = raw_gate > limits.high ? Vec<A>{} : grad_gate;
        grad_up = raw_up > limits.high ? Vec<A>{} : raw_up < -limits.high ? Vec<A>{} : grad_up;
      }
      store_some(out + i, grad_gate, F - i);
      store_some(out + F + i, grad_up, F - i);
    }
    if (a.grad_row_weights) static_cast<A*>(a.grad_row_weights)[row] = sum_lanes<A>(grad_weight);
  }
}

template <class X, class E>
void combine(const CombineRows& a, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  const int64_t D = a.D, K = a.K;
  const X* rows = static_cast<const X*>(a.rows);
  for (int64_t t = begin; t < end; ++t) {
    const int64_t* slot2row = a.slot2row + t * K;
    const E* extra = a.extra ? static_cast<const E*>(a.extra) + t * D : nullptr;
    X* out = static_cast<X*>(a.out) + t * D;
    for (int64_t i = 0; i < D; i += kLanes<A>) {
      Vec<A> sum = load_some(rows + slot2row[0] * D + i, D - i);
      for (int64_t k = 1; k < K; ++k) sum += load_some(rows + slot2row[k] * D + i, D - i);
      if (extra) sum += load_some(extra + i, D - i);
      store_some(out + i, sum, D - i);
    }
  }
}

template <class A>
void target_logprobs(const CrossEntropyRows& a, int64_t begin, int64_t end) {
  constexpr int L = kLanes<A>;
  const int64_t V = a.V;
  for (int64_t row = begin; row < end; ++row) {
    const A* z = static_cast<const A*>(a.logits) + row * V;
    const A lowest = static_cast<A>(-1e30);
    Vec<A> most = broadcast(lowest);
    for (int64_t v = 0; v < V; v += L) most = max_of(most, load_some(z + v, V - v, lowest));
    A largest = most[0];
    for (int lane = 1; lane < L; ++lane) largest = most[lane] > largest ? most[lane] : largest;
    Vec<A> sum{};
    for (int64_t v = 0; v < V; v += L) sum += exp_of(load_some(z + v, V - v, lowest) - largest);
    const A lse = largest + static_cast<A>(__builtin_log(static_cast<double>(sum_lanes<A>(sum))));
    static_cast<A*>(a.lse)[row] = lse;
    static_cast<A*>(a.logprobs)[row] = z[a.targets[row]] - lse;
  }
}

template <class A, class X>
void target_logprobs_backward(const CrossEntropyRows& a, int64_t begin, int64_t end) {
  const int64_t V = a.V;
  for (int64_t row = begin; row < end; ++row) {
    const A* z = static_cast<const A*>(a.logits) + row * V;
    X* out = static_cast<X*>(a.grad_logits) + row * V;
    const A g = static_cast<const A*>(a.grad_logprobs)[row], lse = static_cast<const A*>(a.lse)[row];
    const int64_t target = a.targets[row];
    const A of_target = z[target];   // grad_logits may overwrite the logits
    for (int64_t v = 0; v < V; v += kLanes<A>) store_some(out + v, exp_of(load_some(z + v, V - v) - lse) * -g, V - v);
    const Vec<A> p = exp_of(broadcast(of_target - lse));
    out[target] = from_float<X>(g * (1 - p[0]));
  }
}

}  // namespace

void swiglu_rows(const SwigluRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { swiglu<X>(a, begin, end); });
}

void swiglu_backward_rows(const SwigluRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { swiglu_backward<X>(a, begin, end); });
}

void combine_rows(const CombineRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    if (a.extra_element == a.element) return combine<X, X>(a, begin, end);
    combine<X, Accumulate<X>>(a, begin, end);
  });
}

void target_logprobs_rows(const CrossEntropyRows& a, int64_t begin, int64_t end) {
  if (a.element == Element::kDouble) return target_logprobs<double>(a, begin, end);
  target_logprobs<float>(a, begin, end);
}

void target_logprobs_backward_rows(const CrossEntropyRows& a, int64_t begin, int64_t end) {
  if (a.element == Element::kDouble) return target_logprobs_backward<double, double>(a, begin, end);
  if (a.out_element == Element::kBFloat16) return target_logprobs_backward<float, bf16>(a, begin, end);
  target_logprobs_backward<float, float>(a, begin, end);
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
