#pragma once
// Elementary functions of vectors.  Only for the sources of cpu/isa/.

#include "kernels/cpu/isa/vector.h"

namespace temper::TEMPER_ISA_NAMESPACE {

/// exp(x), relative error below 2e-7 (float) and 4e-16 (double); exactly 0 where the result would not be a normal number.
/// x = n ln 2 + r with |r| <= ln 2 / 2; a Taylor polynomial of r, and n goes into the exponent.
inline Vec<float> exp_of(Vec<float> x) {
  typedef Lanes<float>::I I;
  const Vec<float> bounded = x > 88.0f ? broadcast(88.0f) : x;
  const Vec<float> shifted = bounded * 1.44269504088896341f + 12582912.0f;   // 1.5 * 2^23: the sum's low bits are the rounded integer
  const Vec<float> n = shifted - 12582912.0f;
  const Vec<float> r = (bounded - n * 0.693359375f) - n * -2.12194440e-4f;   // ln 2 in two parts
  Vec<float> y = broadcast(1.0f / 5040);
  constexpr float kCoefficients[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
#pragma GCC unroll 7
  for (int i = 0; i < 7; ++i) y = y * r + kCoefficients[i];
  const I exponent = (__builtin_convertvector(n, I) + 127) << 23;
  return x < -87.0f ? Vec<float>{} : y * __builtin_bit_cast(Vec<float>, exponent);
}

inline Vec<double> exp_of(Vec<double> x) {
  typedef Lanes<double>::I I;
  const Vec<double> bounded = x > 709.0 ? broadcast(709.0) : x;
  const Vec<double> shifted = bounded * 1.4426950408889634 + 6755399441055744.0;   // 1.5 * 2^52
  const Vec<double> n = shifted - 6755399441055744.0;
  const Vec<double> r = (bounded - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
  Vec<double> y = broadcast(1.0 / 6227020800);
  constexpr double kCoefficients[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                                      1.0 / 24,        1.0 / 6,        0.5,           1.0,          1.0};
#pragma GCC unroll 13
  for (int i = 0; i < 13; ++i) y = y * r + kCoefficients[i];
  const I exponent = ((__builtin_bit_cast(I, shifted) - __builtin_bit_cast(int64_t, 6755399441055744.0)) + 1023) << 52;
  return x < -708.0 ? Vec<double>{} : y * __builtin_bit_cast(Vec<double>, exponent);
}

/// ln(x) of positive normal numbers, relative error below 3e-7 (float) and 1e-15 (double).
/// x = 2^n m with m about 1, and ln m = 2 artanh((m - 1) / (m + 1)).
inline Vec<float> log_of(Vec<float> x) {
  typedef Lanes<float>::I I;
  const I bits = __builtin_bit_cast(I, x), n = (bits - 0x3f3504f3) >> 23;   // m from sqrt(1/2) to sqrt(2)
  const Vec<float> m = __builtin_bit_cast(Vec<float>, bits - (n << 23)), s = (m - 1) / (m + 1), square = s * s;
  Vec<float> y = broadcast(2.0f / 11);
  constexpr float kCoefficients[] = {2.0f / 9, 2.0f / 7, 2.0f / 5, 2.0f / 3, 2.0f};
#pragma GCC unroll 5
  for (int i = 0; i < 5; ++i) y = y * square + kCoefficients[i];
  return y * s + __builtin_convertvector(n, Vec<float>) * 0.693147180559945309f;
}

inline Vec<double> log_of(Vec<double> x) {
  typedef Lanes<double>::I I;
  const I bits = __builtin_bit_cast(I, x), n = (bits - 0x3fe6a09e667f3bcd) >> 52;
  const Vec<double> m = __builtin_bit_cast(Vec<double>, bits - (n << 52)), s = (m - 1) / (m + 1), square = s * s;
  Vec<double> y = broadcast(2.0 / 23);
  constexpr double kCoefficients[] = {2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3, 2.0};
#pragma GCC unroll 11
  for (int i = 0; i < 11; ++i) y = y * square + kCoefficients[i];
  return y * s + __builtin_convertvector(n, Vec<double>) * 0.693147180559945309;
}

template <class V>
inline V max_of(V a, V b) { return a > b ? a : b; }

}  // namespace temper::TEMPER_ISA_NAMESPACE
