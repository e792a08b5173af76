#include "kernels/cpu/isa/muon.h"

#include "kernels/cpu/isa/pack.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

// Calls `vectors` at the first element of each whole vector, then `singles` for the rest.
template <class Vectors, class Singles>
void for_elements(int64_t begin, int64_t end, const Vectors& vectors, const Singles& singles) {
  int64_t i = begin;
  for (; i + kLanes<float> <= end; i += kLanes<float>) vectors(i);
  for (; i < end; ++i) singles(i);
}

// Element (i, j) of an output.
template <class X, class A>
A entry(const SymmetricSums& a, const SymmetricOutput& o, int64_t i, int64_t j) {
  const int64_t at = i * a.p + j;
  A value = (i == j ? static_cast<A>(o.unit) : A{}) + static_cast<A>(o.scale) * static_cast<const A*>(a.sums)[at];
  for (int k = 0; k < 3; ++k)
    if (a.base[k] != nullptr) value += static_cast<A>(o.keep[k]) * to_float(static_cast<const X*>(a.base[k])[at]);
  return value;
}

// Row i of all outputs, from the vector with the diagonal on.  All values of a place before an output replaces a base.
template <class X, class A, int kOutputs>
void sum_row(const SymmetricSums& a, int64_t i) {
  constexpr int L = kLanes<A>;
  typename Lanes<A>::I lane;
  for (int l = 0; l < L; ++l) lane[l] = l;
  int64_t j = i / L * L;
  for (; j + L <= a.p; j += L) {
    const int64_t at = i * a.p + j;
    const Vec<A> sums = load(static_cast<const A*>(a.sums) + at);
    Vec<A> values[kOutputs];
    for (int o = 0; o < kOutputs; ++o) values[o] = static_cast<A>(a.output[o].scale) * sums;
    for (int k = 0; k < 3 && a.base[k] != nullptr; ++k) {
      const Vec<A> base = load(static_cast<const X*>(a.base[k]) + at);
      for (int o = 0; o < kOutputs; ++o) values[o] += static_cast<A>(a.output[o].keep[k]) * base;
    }
    for (int o = 0; o < kOutputs; ++o) {
      if (j <= i) values[o] = lane == static_cast<decltype(+lane[0])>(i - j) ? values[o] + static_cast<A>(a.output[o].unit) : values[o];
      store(static_cast<X*>(a.output[o].out) + at, values[o]);
    }
  }
  for (; j < a.p; ++j) {
    A values[kOutputs];
    for (int o = 0; o < kOutputs; ++o) values[o] = entry<X, A>(a, a.output[o], i, j);
    for (int o = 0; o < kOutputs; ++o) static_cast<X*>(a.output[o].out)[i * a.p + j] = from_float<X>(values[o]);
  }
}

// The square block at (i, j), j >= i, and its mirror image.
template <class X>
void mirror_block(X* x, int64_t p, int64_t i, int64_t j) {
  if constexpr (sizeof(X) == 2) {
    // A vector holds rows r and r + N / 2 of the N of a block.
    typedef uint16_t Rows __attribute__((vector_size(TEMPER_ISA_BYTES)));
    constexpr int N = kLanes<float>, H = N / 2, kHalf = TEMPER_ISA_BYTES / 2;
    Rows rows[H];
    for (int r = 0; r < H; ++r) {
      __builtin_memcpy(&rows[r], x + (i + r) * p + j, kHalf);
      __builtin_memcpy(reinterpret_cast<char*>(&rows[r]) + kHalf, x + (i + r + H) * p + j, kHalf);
    }
    transpose_halves(rows);
    for (int r = 0; r < H; ++r) {
      __builtin_memcpy(x + (j + r) * p + i, &rows[r], kHalf);
      __builtin_memcpy(x + (j + r + H) * p + i, reinterpret_cast<char*>(&rows[r]) + kHalf, kHalf);
    }
  } else {
    constexpr int N = kLanes<X>;
    Vec<X> rows[N];
    for (int r = 0; r < N; ++r) rows[r] = load(x + (i + r) * p + j);
    transpose_square(rows);
    for (int r = 0; r < N; ++r) store(x + (j + r) * p + i, rows[r]);
  }
}

}  // namespace

void muon_momentum(const MuonElements& a, double* squares, int64_t begin, int64_t end) {
  constexpr int H = kLanes<double>;
  for (int64_t chunk = begin; chunk < end; chunk += kMuonChunk) {
    const int64_t after = chunk + kMuonChunk < end ? chunk + kMuonChunk : end;
    Vec<double> low{}, high{};
    double rest = 0;
    for_elements(
        chunk, after,
        [&](int64_t i) {
          const Vec<float> g = a.grad_scale * load(a.g + i), m = a.momentum * load(a.m + i) + g;
          store(a.m + i, m);
          float direction[2 * H];
          store(direction, a.momentum * m + g);
          const Vec<double> first = load_as(static_cast<double*>(nullptr), direction), second = load_as(static_cast<double*>(nullptr), direction + H);
          low += first * first;
          high += second * second;
        },
        [&](int64_t i) {
          a.m[i] = a.momentum * a.m[i] + a.grad_scale * a.g[i];
          const double direction = a.momentum * a.m[i] + a.grad_scale * a.g[i];
          rest += direction * direction;
        });
    squares[chunk / kMuonChunk] = sum_lanes<double>(low + high) + rest;
  }
}

void muon_direction(const MuonElements& a, float scale, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    if constexpr (!__is_same(X, double)) {
      X* x = static_cast<X*>(a.x);
      for_elements(
          begin, end, [&](int64_t i) { store(x + i, scale * (a.momentum * load(a.m + i) + a.grad_scale * load(a.g + i))); },
          [&](int64_t i) { x[i] = from_float<X>(scale * (a.momentum * a.m[i] + a.grad_scale * a.g[i])); });
    }
  });
}

void muon_apply(const MuonElements& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    if constexpr (!__is_same(X, double)) {
      const X* x = static_cast<const X*>(a.x);
      for_elements(
          begin, end, [&](int64_t i) { store(a.w + i, a.keep * load(a.w + i) - a.step * load(x + i)); },
          [&](int64_t i) { a.w[i] = a.keep * a.w[i] - a.step * to_float(x[i]); });
    }
  });
}

void muon_squares(const void* x, Element element, int64_t n, double& sum) {
  sum = 0;
  with_element(element, [&]<class X>(X*) {
    using A = Accumulate<X>;
    constexpr int64_t kPart = 4096;   // of so many, all near 1 or below, fp32 sums are good enough for a bound
    const X* elements = static_cast<const X*>(x);
    for (int64_t begin = 0; begin < n; begin += kPart) {
      const int64_t end = begin + kPart < n ? begin + kPart : n;
      Vec<A> sums{};
      int64_t i = begin;
      for (; i + kLanes<A> <= end; i += kLanes<A>) {
        const Vec<A> v = load(elements + i);
        sums += v * v;
      }
      sum += sum_lanes<A>(sums);
      for (; i < end; ++i) sum += to_float(elements[i]) * to_float(elements[i]);
    }
  });
}

void symmetric_sum_rows(const SymmetricSums& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    using A = Accumulate<X>;
    for (int64_t i = begin; i < end; ++i) {
      if (a.outputs == 1) sum_row<X, A, 1>(a, i);
      if (a.outputs == 2) sum_row<X, A, 2>(a, i);
      if (a.outputs == 3) sum_row<X, A, 3>(a, i);
    }
  });
}

void mirror_rows(const SquareMatrix& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    constexpr int64_t N = kLanes<Accumulate<X>>;
    static_assert(kMirrorBlock % N == 0);
    X* x = static_cast<X*>(a.data);
    const auto by_elements = [&](int64_t r, int64_t first, int64_t after) {
      for (int64_t c = first; c < after; ++c) x[c * a.p + r] = x[r * a.p + c];
    };
    for (int64_t i = begin * kMirrorBlock; i < end * kMirrorBlock && i < a.p; i += N) {
      const int64_t rows = a.p - i < N ? a.p - i : N;
      for (int64_t r = i; r < i + rows; ++r) by_elements(r, r + 1, i + rows);
      int64_t j = i + rows;
      for (; j + N <= a.p; j += N) mirror_block(x, a.p, i, j);
      for (int64_t r = i; r < i + rows; ++r) by_elements(r, j, a.p);
    }
  });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
