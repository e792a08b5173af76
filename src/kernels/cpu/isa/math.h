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

template <class V>
inline V max_of(V a, V b) { return a > b ? a : b; }

}  // namespace temper::TEMPER_ISA_NAMESPACE
