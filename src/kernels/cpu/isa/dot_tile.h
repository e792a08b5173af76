#pragma once
// Dot products of a few rows with a few rows, both along k: the tile of thin products.  Only for the sources of cpu/isa/.

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
#if !defined(__AVX512BF16__)
// Two neighbours at a time, as they lie: a shift and a mask widen them, which takes no shuffle.
struct Pairs {
  Vec<float> even, odd;
};
template <>
struct Step<float, bf16, bf16> {
  static constexpr int kWidth = 2 * kLanes<float>;
  using A = Pairs;
  static A load_a(const bf16* a) {
    typedef uint32_t Unaligned __attribute__((vector_size(TEMPER_ISA_BYTES), aligned(2), may_alias));
    const FullLanes both = *reinterpret_cast<const Unaligned*>(a);
    return {__builtin_bit_cast(Vec<float>, both << 16), __builtin_bit_cast(Vec<float>, both & 0xffff0000u)};
  }
  static A load_b(const bf16* b) { return load_a(b); }
  static void add(Vec<float>& sum, A a, A b) {
    sum += a.even * b.even;
    sum += a.odd * b.odd;
  }
};
#else
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
[[gnu::always_inline]] inline Vec<S> add_halves(Vec<S> u, Vec<S> v) {
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

// The sums of the lanes of v[0] to v[kUsed - 1], in v[0], each kLanes / kUsed times: a fixed tree, so a sum does not depend on what is
// summed beside it.  kUsed is a power of two.
template <class S, int kUsed, int kSegment = kLanes<S>>
[[gnu::always_inline]] inline void sum_each(Vec<S>* v) {
  if constexpr (kSegment > 1) {
    constexpr int kLeft = kUsed > 1 ? kUsed / 2 : 1;
#pragma GCC unroll 8
    for (int i = 0; i < kLeft; ++i) v[i] = add_halves<S, kSegment>(v[i], v[kUsed > 1 ? i + kLeft : i]);
    sum_each<S, kLeft, kSegment / 2>(v);
  }
}

constexpr int power_of_two_from(int n) { return n <= 1 ? 1 : 2 * power_of_two_from((n + 1) / 2); }

// out[i * out_row + j] = a row i times b row j, for kA rows of a and kB of b; kA * kB is at most kLanes.
// next: where as many rows of b lie that are read later, fetched meanwhile in the order of their addresses: several rows at once are no
// sequence that the processor foresees.
template <int kA, int kB, class S, class XA, class XB>
void dot_tile(const XA* const* a, const XB* const* b, int64_t k, const XB* next, S* out, int64_t out_row) {
  using T = Step<S, XA, XB>;
  constexpr int kUsed = power_of_two_from(kA * kB), kEach = kLanes<S> / kUsed;
  Vec<S> sum[kUsed];
#pragma GCC unroll 16
  for (int i = 0; i < kUsed; ++i) sum[i] = Vec<S>{};   // one by one: registers, no array
  const auto step = [&](const auto& at_a, const auto& at_b) {   // the side with fewer rows stays in registers
    typename T::A kept[kA < kB ? kA : kB];
#pragma GCC unroll 16
    for (int i = 0; i < (kA < kB ? kA : kB); ++i) kept[i] = kA < kB ? T::load_a(at_a(i)) : T::load_b(at_b(i));
#pragma GCC unroll 16
    for (int i = 0; i < (kA < kB ? kB : kA); ++i) {
      const typename T::A passing = kA < kB ? T::load_b(at_b(i)) : T::load_a(at_a(i));
#pragma GCC unroll 16
      for (int j = 0; j < (kA < kB ? kA : kB); ++j) {
        if constexpr (kA < kB) T::add(sum[j * kB + i], kept[j], passing);
        else T::add(sum[i * kB + j], passing, kept[j]);
      }
    }
  };
  int64_t begin = 0;
  for (; begin + T::kWidth <= k; begin += T::kWidth) {
    step([&](int i) { return a[i] + begin; }, [&](int j) { return b[j] + begin; });
#pragma GCC unroll 16
    for (int j = 0; j < kB; ++j) __builtin_prefetch(next + begin * kB + j * T::kWidth);
  }
  if (begin < k) {   // the rest, filled up with zeros
    XA rest_a[kA][T::kWidth] = {};
    XB rest_b[kB][T::kWidth] = {};
    for (int i = 0; i < kA; ++i) __builtin_memcpy(rest_a[i], a[i] + begin, static_cast<decltype(sizeof(XA))>(k - begin) * sizeof(XA));
    for (int j = 0; j < kB; ++j) __builtin_memcpy(rest_b[j], b[j] + begin, static_cast<decltype(sizeof(XB))>(k - begin) * sizeof(XB));
    step([&](int i) { return rest_a[i]; }, [&](int j) { return rest_b[j]; });
  }
  sum_each<S, kUsed>(sum);
#pragma GCC unroll 8
  for (int i = 0; i < kA; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < kB; ++j) out[i * out_row + j] = sum[0][(i * kB + j) * kEach];
}

}  // namespace
}  // namespace temper::TEMPER_ISA_NAMESPACE
