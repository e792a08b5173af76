#include "kernels/cpu/isa/rope.h"

#include "kernels/cpu/isa/vector.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

template <class A>
inline Vec<A> swap_pairs(Vec<A> v) {
  typename Lanes<A>::I order;
  for (int i = 0; i < kLanes<A>; ++i) order[i] = i ^ 1;
  return __builtin_shuffle(v, order);
}

// (c, c) and (-s, s) of one vector of pairs: turned = x * cos + swapped x * sin.
template <class A>
struct Turn {
  Vec<A> cos, sin;
};
template <class A>
inline Turn<A> make_turn(const A* cos, const A* sin, A sign) {
  Turn<A> turn;
  for (int i = 0; i < kLanes<A> / 2; ++i) {
    turn.cos[2 * i] = turn.cos[2 * i + 1] = cos[i];
    turn.sin[2 * i] = -sign * sin[i];
    turn.sin[2 * i + 1] = sign * sin[i];
  }
  return turn;
}

// out[h] = turn(value(h, i)) for all heads of token t.  wide(h, i) gives a vector, one(h, i) an element.
template <class X, class Wide, class One>
inline void turn_heads(const RopeRows& a, int64_t t, bool inverse, const Wide& wide, const One& one) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  const int64_t R = 2 * a.half, start = a.dim - R, whole = start / L * L;
  const A *cos = static_cast<const A*>(a.cos) + t * a.half, *sin = static_cast<const A*>(a.sin) + t * a.half, sign = inverse ? -1 : 1;
  X* out = static_cast<X*>(a.out) + t * a.n_heads * a.dim;
  int64_t pair = 0;
  for (; pair + L / 2 <= a.half; pair += L / 2) {
    const Turn<A> turn = make_turn<A>(cos + pair, sin + pair, sign);
    for (int64_t h = 0; h < a.n_heads; ++h) {
      const Vec<A> v = wide(h, start + 2 * pair);
      store(out + h * a.dim + start + 2 * pair, v * turn.cos + swap_pairs<A>(v) * turn.sin);
    }
  }
  for (; pair < a.half; ++pair)
    for (int64_t h = 0; h < a.n_heads; ++h) {
      const int64_t i = start + 2 * pair;
      const A x = one(h, i), y = one(h, i + 1);
      out[h * a.dim + i] = from_float<X>(x * cos[pair] - y * (sign * sin[pair]));
      out[h * a.dim + i + 1] = from_float<X>(x * (sign * sin[pair]) + y * cos[pair]);
    }
  for (int64_t h = 0; h < a.n_heads; ++h) {
    for (int64_t i = 0; i < whole; i += L) store(out + h * a.dim + i, wide(h, i));
    for (int64_t i = whole; i < start; ++i) out[h * a.dim + i] = from_float<X>(one(h, i));
  }
}

template <class X>
inline Accumulate<X> dot(const X* x, const X* y, int64_t n) {
  using A = Accumulate<X>;
  constexpr int L = kLanes<A>;
  Vec<A> sum{};
  const int64_t whole = n / L * L;
  for (int64_t i = 0; i < whole; i += L) sum += load(x + i) * load(y + i);
  A total = sum_lanes<A>(sum);
  for (int64_t i = whole; i < n; ++i) total += to_float(x[i]) * to_float(y[i]);
  return total;
}

}  // namespace

void rope_rows(const RopeRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    for (int64_t t = begin; t < end; ++t) {
      const X* x = static_cast<const X*>(a.x) + t * a.n_heads * a.dim;
      turn_heads<X>(a, t, a.inverse, [&](int64_t h, int64_t i) { return load(x + h * a.dim + i); }, [&](int64_t h, int64_t i) { return to_float(x[h * a.dim + i]); });
    }
  });
}

void norm_rope_rows(const RopeRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    using A = Accumulate<X>;
    for (int64_t t = begin; t < end; ++t) {
      const X* x = static_cast<const X*>(a.x) + t * a.n_heads * a.dim;
      A* rstd = static_cast<A*>(a.rstd) + t * a.n_heads;
      for (int64_t h = 0; h < a.n_heads; ++h)
        rstd[h] = 1 / static_cast<A>(__builtin_sqrt(dot(x + h * a.dim, x + h * a.dim, a.dim) / static_cast<A>(a.dim) + static_cast<A>(a.eps)));
      turn_heads<X>(a, t, /*inverse=*/false, [&](int64_t h, int64_t i) { return load(x + h * a.dim + i) * rstd[h]; },
                    [&](int64_t h, int64_t i) { return to_float(x[h * a.dim + i]) * rstd[h]; });
    }
  });
}

void norm_rope_backward_rows(const RopeRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    using A = Accumulate<X>;
    for (int64_t t = begin; t < end; ++t) {
      const X *y = static_cast<const X*>(a.x) + t * a.n_heads * a.dim, *g = static_cast<const X*>(a.grad_y) + t * a.n_heads * a.dim;
      const A* rstd = static_cast<const A*>(a.rstd) + t * a.n_heads;
      for (int64_t first = 0; first < a.n_heads; first += 64) {   // heads whose dot products fit the stack
        RopeRows part = a;
        A along[64];
        const int64_t count = a.n_heads - first < 64 ? a.n_heads - first : 64;
        for (int64_t h = 0; h < count; ++h) along[h] = dot(g + (first + h) * a.dim, y + (first + h) * a.dim, a.dim) / static_cast<A>(a.dim);
        part.n_heads = count;
        part.out = static_cast<X*>(a.out) + (t * a.n_heads + first) * a.dim - t * count * a.dim;   // turn_heads adds t * count heads
        turn_heads<X>(part, t, /*inverse=*/true,
                      [&](int64_t h, int64_t i) {
                        const int64_t at = (first + h) * a.dim + i;
                        return (load(g + at) - load(y + at) * along[h]) * rstd[first + h];
                      },
                      [&](int64_t h, int64_t i) {
                        const int64_t at = (first + h) * a.dim + i;
                        return (to_float(g[at]) - to_float(y[at]) * along[h]) * rstd[first + h];
                      });
      }
    }
  });
}

void head_dot_rows(const RopeRows& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    for (int64_t row = begin; row < end; ++row)
      static_cast<Accumulate<X>*>(a.rstd)[row] = dot(static_cast<const X*>(a.x) + row * a.dim, static_cast<const X*>(a.grad_y) + row * a.dim, a.dim);
  });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
