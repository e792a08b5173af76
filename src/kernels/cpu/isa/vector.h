#pragma once
// Vectors of the instruction set a file is compiled for, by the compiler's vector extension: 4, 8 or 16 floats.
// Only for the sources of cpu/isa/.

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/cpu/isa/function.h"

namespace temper::TEMPER_ISA_NAMESPACE {

struct bf16 {
  uint16_t bits;
};

template <class A>
struct Lanes;
template <>
struct Lanes<float> {
  static constexpr int kSize = TEMPER_ISA_BYTES / 4;
  typedef float V __attribute__((vector_size(TEMPER_ISA_BYTES)));
  typedef int32_t I __attribute__((vector_size(TEMPER_ISA_BYTES)));
  typedef float Unaligned __attribute__((vector_size(TEMPER_ISA_BYTES), aligned(4), may_alias));
};
template <>
struct Lanes<double> {
  static constexpr int kSize = TEMPER_ISA_BYTES / 8;
  typedef double V __attribute__((vector_size(TEMPER_ISA_BYTES)));
  typedef int64_t I __attribute__((vector_size(TEMPER_ISA_BYTES)));
  typedef double Unaligned __attribute__((vector_size(TEMPER_ISA_BYTES), aligned(8), may_alias));
};

template <class A>
using Vec = typename Lanes<A>::V;
template <class A>
inline constexpr int kLanes = Lanes<A>::kSize;

/// The type in which elements of type X are summed.
template <class X>
struct AccumulateOf {
  using Type = X;
};
template <>
struct AccumulateOf<bf16> {
  using Type = float;
};
template <class X>
using Accumulate = typename AccumulateOf<X>::Type;

typedef uint16_t HalfLanes __attribute__((vector_size(TEMPER_ISA_BYTES / 2), aligned(2), may_alias));
typedef uint16_t HalfLanesValue __attribute__((vector_size(TEMPER_ISA_BYTES / 2)));
typedef uint32_t FullLanes __attribute__((vector_size(TEMPER_ISA_BYTES)));

inline float to_float(bf16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16); }
inline float to_float(float x) { return x; }
inline double to_float(double x) { return x; }

template <class X>
inline X from_float(Accumulate<X> x) { return x; }
template <>
inline bf16 from_float<bf16>(float x) {
  if (x != x) return {0x7fc0};
  const uint32_t u = __builtin_bit_cast(uint32_t, x);
  return {static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};   // to nearest, ties to even
}

inline Vec<float> load(const float* p) { return *reinterpret_cast<const Lanes<float>::Unaligned*>(p); }
inline Vec<double> load(const double* p) { return *reinterpret_cast<const Lanes<double>::Unaligned*>(p); }
inline Vec<float> load(const bf16* p) {
#if defined(__AVX512F__)   // the compiler's own conversion goes by two halves; the mask (all lanes) is for its warnings
  const auto wide = reinterpret_cast<FullLanes>(_mm512_maskz_cvtepu16_epi32(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__AVX2__)
  const auto wide = reinterpret_cast<FullLanes>(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  const auto wide = __builtin_convertvector(HalfLanesValue(*reinterpret_cast<const HalfLanes*>(p)), FullLanes);
#endif
  return __builtin_bit_cast(Vec<float>, wide << 16);
}
/// A vector of x as vectors of the sum's type; the first argument only says which.
template <class S, class X>
inline Vec<S> load_as(const S*, const X* x) { return load(x); }
inline Vec<double> load_as(const double*, const float* x) {
  Vec<double> v;
  for (int i = 0; i < kLanes<double>; ++i) v[i] = x[i];
  return v;
}
inline Vec<double> load_as(const double*, const bf16* x) {
  Vec<double> v;
  for (int i = 0; i < kLanes<double>; ++i) v[i] = to_float(x[i]);
  return v;
}
inline Vec<float> load_as(const float*, const double* x) {
  Vec<float> v;
  for (int i = 0; i < kLanes<float>; ++i) v[i] = static_cast<float>(x[i]);
  return v;
}

inline void store(float* p, Vec<float> v) { *reinterpret_cast<Lanes<float>::Unaligned*>(p) = v; }
inline void store(double* p, Vec<double> v) { *reinterpret_cast<Lanes<double>::Unaligned*>(p) = v; }
inline void store(bf16* p, Vec<float> v) {
#if defined(__AVX512BF16__)
  // Rounds as below; denormal numbers become 0, as they do inside products of pairs.
  *reinterpret_cast<HalfLanes*>(p) = reinterpret_cast<HalfLanesValue>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v)));
#else
  const FullLanes u = __builtin_bit_cast(FullLanes, v);
  const FullLanes rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const FullLanes nan = __builtin_bit_cast(FullLanes, v != v), bits = (rounded & ~nan) | (nan & 0x7fc0u);
#if defined(__AVX2__) && !defined(__AVX512F__)   // the compiler's own conversion masks and shuffles each half
  const auto halves = reinterpret_cast<__m256i>(bits);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
#else
  *reinterpret_cast<HalfLanes*>(p) = __builtin_convertvector(bits, HalfLanesValue);
#endif
#endif
}

template <class A>
inline Vec<A> broadcast(A x) { return x - Vec<A>{}; }   // x + 0 would be an addition, as it makes +0 of -0

/// Sum of the lanes, always in the same order: lanes i and i + kStep, then with half the step.
template <class A, int kStep = kLanes<A> / 2>
inline A sum_lanes(Vec<A> v) {
  typename Lanes<A>::I from;
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<A>; ++i) from[i] = i ^ kStep;
  v += __builtin_shuffle(v, from);
  if constexpr (kStep > 1) return sum_lanes<A, kStep / 2>(v);
  else return v[0];
}

/// Calls f with a null pointer of the element's type.
template <class F>
inline void with_element(Element element, F&& f) {
  switch (element) {
    case Element::kFloat: return f(static_cast<float*>(nullptr));
    case Element::kBFloat16: return f(static_cast<bf16*>(nullptr));
    case Element::kDouble: return f(static_cast<double*>(nullptr));
  }
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
