#include "kernels/cpu/isa/thin_gemm.h"

#include "kernels/cpu/isa/vector.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

// How many k one step takes, and the step itself: a vector of partial sums.
template <class S, class XA, class XB>
struct Step {
  static constexpr int kWidth = kLanes<S>;
  using A = Vec<S>;
  static A load_a(const XA* a) { return load_as(static_cast<const S*>(nullptr), a); }
  static A load_b(const XB* b) { return load_as(static_cast<const S*>(nullptr), b); }
  static void add(Vec<S>& sum, A a, A b) { sum += a * b; }
};
#if defined(__AVX512BF16__)
template <>
struct Step<float, bf16, bf16> {
  static constexpr int kWidth = 2 * kLanes<float>;
  using A = __m512i;
  static A load_a(const bf16* a) { return _mm512_loadu_si512(a); }
  static A load_b(const bf16* b) { return _mm512_loadu_si512(b); }
  static void add(Vec<float>& sum, A a, A b) {
    sum = reinterpret_cast<Vec<float>>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)));
  }
};
#endif

// The two halves of each segment added: those of u's and v's segments in turn.
template <class S, int kSegment>
Vec<S> add_halves(Vec<S> u, Vec<S> v) {
  constexpr int L = kLanes<S>;
  typename Lanes<S>::I low, high;
#pragma GCC unroll 16
  for (int lane = 0; lane < L; ++lane) {
    const int half = kSegment / 2, to = lane / half, from = to / 2 * kSegment + lane % half + (to % 2 == 0 ? 0 : L);
    low[lane] = from;
    high[lane] = from + half;
  }
  return __builtin_shuffle(u, v, low) + __builtin_shuffle(u, v, high);
}

// v[0] = the sum of the lanes of v[0], that of v[1], ...: a fixed tree, so a sum does not depend on what is summed beside it.
template <class S, int kCount = kLanes<S>>
void sum_each(Vec<S>* v) {
  if constexpr (kCount > 1) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount / 2; ++i) v[i] = add_halves<S, kCount>(v[i], v[i + kCount / 2]);
    sum_each<S, kCount / 2>(v);
  }
}

// out[i * out_row + j] = a row i times b row j, for kA rows of a and kB of b; kA * kB is at most kLanes.
// ahead: elements from b to what is read next, fetched meanwhile (the rows are too short for the processor to see them coming).
template <int kA, int kB, class S, class XA, class XB>
void dot_tile(const XA* const* a, const XB* const* b, int64_t k, int64_t ahead, S* out, int64_t out_row) {
  using T = Step<S, XA, XB>;
  Vec<S> sum[kLanes<S>] = {};
  const auto step = [&](const auto& at_a, const auto& at_b) {
    typename T::A vb[kB];
#pragma GCC unroll 16
    for (int j = 0; j < kB; ++j) vb[j] = T::load_b(at_b(j));
#pragma GCC unroll 4
    for (int i = 0; i < kA; ++i) {
      const typename T::A va = T::load_a(at_a(i));
#pragma GCC unroll 16
      for (int j = 0; j < kB; ++j) T::add(sum[i * kB + j], va, vb[j]);
    }
  };
  int64_t begin = 0;
  for (; begin + T::kWidth <= k; begin += T::kWidth) {
    step([&](int i) { return a[i] + begin; }, [&](int j) { return b[j] + begin; });
#pragma GCC unroll 16
    for (int j = 0; j < kB; ++j) __builtin_prefetch(reinterpret_cast<const char*>(b[j] + begin) + ahead * static_cast<int64_t>(sizeof(XB)));
  }
  if (begin < k) {   // the rest, filled up with zeros
    XA rest_a[kA][T::kWidth] = {};
    XB rest_b[kB][T::kWidth] = {};
    for (int i = 0; i < kA; ++i) __builtin_memcpy(rest_a[i], a[i] + begin, static_cast<decltype(sizeof(XA))>(k - begin) * sizeof(XA));
    for (int j = 0; j < kB; ++j) __builtin_memcpy(rest_b[j], b[j] + begin, static_cast<decltype(sizeof(XB))>(k - begin) * sizeof(XB));
    step([&](int i) { return rest_a[i]; }, [&](int j) { return rest_b[j]; });
  }
  sum_each<S>(sum);
#pragma GCC unroll 4
  for (int i = 0; i < kA; ++i) __builtin_memcpy(out + i * out_row, reinterpret_cast<const S*>(&sum[0]) + i * kB, kB * sizeof(S));
}

// c[j] = sum[j], or c[j] += sum[j]; rounded once.
template <class S, class X>
void write_row(X* c, const S* sum, int64_t n, bool add) {
  constexpr int L = kLanes<S>;
  int64_t j = 0;
  if constexpr (__is_same(Accumulate<X>, S))
    for (; j + L <= n; j += L) store(c + j, add ? load(c + j) + load(sum + j) : load(sum + j));
  for (; j < n; ++j) c[j] = from_float<X>(static_cast<Accumulate<X>>((add ? static_cast<S>(to_float(c[j])) : S{}) + sum[j]));
}

constexpr int kMostRowsOfA = 4;   // in one tile

// A strip of kLanes columns, for kA rows of a.
template <int kA, class S, class XA, class XB>
void dot_strip(const XA* const* a, const XB* const* b, int64_t k, int64_t ahead, S* out) {
  constexpr int L = kLanes<S>, fit = L / kA, kB = fit >= 16 ? 16 : fit >= 8 ? 8 : fit >= 4 ? 4 : fit >= 2 ? 2 : 1;
  if constexpr (kA > L) {   // two lanes only
    dot_strip<kA / 2, S>(a, b, k, ahead, out);
    dot_strip<kA - kA / 2, S>(a + kA / 2, b, k, ahead, out + kA / 2 * L);
  } else {
    for (int j = 0; j < L; j += kB) dot_tile<kA, kB>(a, b + j, k, ahead, out + j, L);
  }
}

template <class S, class XA, class XB>
void columns(const GemmProblem& p, int64_t begin, int64_t end) {
  constexpr int L = kLanes<S>;
  alignas(64) S sums[kMostRowsOfA * L];
  for (int64_t column = begin; column < end; column += L) {
    const XB* b[L];
    for (int j = 0; j < L; ++j) {   // columns past the end repeat the last one: their sums are not written
      const int64_t at = column + j < end ? column + j : end - 1;
      b[j] = static_cast<const XB*>(p.b.data) + at * p.b.column;
    }
    for (int64_t row = 0; row < p.m; row += kMostRowsOfA) {
      const int64_t count = p.m - row < kMostRowsOfA ? p.m - row : kMostRowsOfA;
      const XA* a[kMostRowsOfA];
      for (int64_t i = 0; i < count; ++i) a[i] = static_cast<const XA*>(p.a.data) + (row + i) * p.a.row;
      switch (count) {
        case 1: dot_strip<1>(a, b, p.k, L * p.b.column, sums); break;
        case 2: dot_strip<2>(a, b, p.k, L * p.b.column, sums); break;
        case 3: dot_strip<3>(a, b, p.k, L * p.b.column, sums); break;
        default: dot_strip<4>(a, b, p.k, L * p.b.column, sums); break;
      }
      with_element(p.c_element, [&]<class X>(X*) {
        for (int64_t i = 0; i < count; ++i)
          write_row(static_cast<X*>(p.c) + (row + i) * p.c_row + column, sums + i * L, end - column < L ? end - column : L, p.add);
      });
    }
  }
}

}  // namespace

void thin_gemm_columns(const GemmProblem& p, int64_t begin, int64_t end) {
  const bool a_pairs = p.a.element == Element::kBFloat16, b_pairs = p.b.element == Element::kBFloat16;
  if (p.a.element == Element::kDouble) return columns<double, double, double>(p, begin, end);
  if (a_pairs && b_pairs) return columns<float, bf16, bf16>(p, begin, end);
  if (a_pairs) return columns<float, bf16, float>(p, begin, end);
  if (b_pairs) return columns<float, float, bf16>(p, begin, end);
  columns<float, float, float>(p, begin, end);
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
