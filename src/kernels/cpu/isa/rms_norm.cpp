#include "kernels/cpu/isa/rms_norm.h"

#include "kernels/cpu/isa/vector.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

template <class X>
void forward(const RmsNormRows& a, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t n = a.size, whole = n / L * L;
  const A* weight = static_cast<const A*>(a.weight);
  for (int64_t row = begin; row < end; ++row) {
    const X* x = static_cast<const X*>(a.x) + row * n;
    X* y = static_cast<X*>(a.y) + row * n;
    Vec<A> squares{};
    for (int64_t i = 0; i < whole; i += L) {
      const Vec<A> v = load(x + i);
      squares += v * v;
    }
    A sum = sum_lanes<A>(squares);
    for (int64_t i = whole; i < n; ++i) sum += to_float(x[i]) * to_float(x[i]);
    const A rstd = 1 / static_cast<A>(__builtin_sqrt(sum / static_cast<A>(n) + static_cast<A>(a.eps)));
    static_cast<A*>(a.rstd)[row] = rstd;
    for (int64_t i = 0; i < whole; i += L) {
      const Vec<A> normed = load(x + i) * rstd;
      store(y + i, weight ? normed * load(weight + i) : normed);
    }
    for (int64_t i = whole; i < n; ++i) {
      const A normed = to_float(x[i]) * rstd;
      y[i] = from_float<X>(weight ? normed * weight[i] : normed);
    }
  }
}

// dx = rstd g - rstd^3 / N (g . x) x  with  g = weight * dy;   dweight += dy * x * rstd
template <class X>
void backward(const RmsNormRows& a, Accumulate<X>* grad_weight, int64_t begin, int64_t end) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t n = a.size, whole = n / L * L;
  const A* weight = static_cast<const A*>(a.weight);
  for (int64_t row = begin; row < end; ++row) {
    const X* x = static_cast<const X*>(a.x) + row * n;
    const X* dy = static_cast<const X*>(a.grad_y) + row * n;
    X* dx = static_cast<X*>(a.grad_x) + row * n;
    const A rstd = static_cast<const A*>(a.rstd)[row];
    Vec<A> dots{};
    for (int64_t i = 0; i < whole; i += L) {
      const Vec<A> product = load(dy + i) * load(x + i);
      dots += weight ? product * load(weight + i) : product;
      if (grad_weight) store(grad_weight + i, load(grad_weight + i) + product * rstd);
    }
    A dot = sum_lanes<A>(dots);
    for (int64_t i = whole; i < n; ++i) {
      const A product = to_float(dy[i]) * to_float(x[i]);
      dot += weight ? product * weight[i] : product;
      if (grad_weight) grad_weight[i] += product * rstd;
    }
    const A along = rstd * rstd * rstd * dot / static_cast<A>(n);
    for (int64_t i = 0; i < whole; i += L) {
      const Vec<A> g = weight ? load(dy + i) * load(weight + i) : load(dy + i);
      store(dx + i, g * rstd - load(x + i) * along);
    }
    for (int64_t i = whole; i < n; ++i) {
      const A g = weight ? to_float(dy[i]) * weight[i] : to_float(dy[i]);
      dx[i] = from_float<X>(g * rstd - to_float(x[i]) * along);
    }
  }
}

}  // namespace

void rms_norm_rows(const RmsNormRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { forward<X>(a, begin, end); });
}

void rms_norm_backward_rows(const RmsNormRows& a, void* grad_weight, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) { backward<X>(a, static_cast<Accumulate<X>*>(grad_weight), begin, end); });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
