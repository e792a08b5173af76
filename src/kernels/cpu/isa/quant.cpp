#include "kernels/cpu/isa/quant.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int64_t kFp8Block = 128, kFp4Block = 32;
constexpr uint32_t kSign = 0x80000000u, kInfinity = 0x7f800000u;

inline uint32_t bits_of(float x) { return __builtin_bit_cast(uint32_t, x); }
inline float from_bits(uint32_t u) { return __builtin_bit_cast(float, u); }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// 2^e for e in [-127, 127]; 2^-127 is subnormal.
inline float power_of_two(int e) { return e >= -126 ? from_bits(static_cast<uint32_t>(e + 127) << 23) : from_bits(0x00400000u); }

// The smallest e with top * 2^e >= amax, where top = mantissa * 2^top_exponent and the mantissa's 23 bits are top_bits;
// amax as the bits of a finite float.  0 for amax 0.
inline int scale_exponent(uint32_t amax, int top_exponent, uint32_t top_bits) {
  if (amax == 0) return 0;
  const int e = static_cast<int>(amax >> 23) - 127 - top_exponent + ((amax & 0x7fffffu) > top_bits ? 1 : 0);
  return e < -127 ? -127 : e;
}
inline int fp8_exponent(uint32_t amax) { return scale_exponent(amax, 8, 0x600000u); }   // 448 = 1.75 * 2^8
inline int fp4_exponent(uint32_t amax) { return scale_exponent(amax, 2, 0x400000u); }   // 6 = 1.5 * 2^2

// To the nearest value of e4m3 (|x| <= 448), ties to even: three mantissa bits, or multiples of 2^-9 below 2^-6.
inline float round_e4m3(float x) {
  const uint32_t u = bits_of(x);
  const float normal = from_bits((u + 0x7ffffu + ((u >> 20) & 1u)) & 0xfff00000u);
  const float tiny = from_bits(bits_of((x + 24576.0f) - 24576.0f) | (u & kSign));   // 1.5 * 2^14 has ulp 2^-9
  return __builtin_fabsf(x) < 0.015625f ? tiny : normal;
}
// To the nearest of 0, .5, 1, 1.5, 2, 3, 4, 6 (|x| <= 6), ties to even mantissas.
inline float round_e2m1(float x) {
  const float a = __builtin_fabsf(x);
  const float magic = a < 2.0f ? 6291456.0f : a < 4.0f ? 12582912.0f : 25165824.0f;   // ulp 1/2, 1, 2
  return from_bits(bits_of((a + magic) - magic) | (bits_of(x) & kSign));
}

// `r` is a value of the format.
inline unsigned char code_e4m3(float r) {
  const uint32_t u = bits_of(r), a = u & ~kSign;
  const uint32_t normal = (a >> 20) - (120u << 3), tiny = static_cast<uint32_t>(static_cast<int>(__builtin_fabsf(r) * 512.0f));
  return static_cast<unsigned char>((u >> 24 & 0x80u) | (__builtin_fabsf(r) < 0.015625f ? tiny : normal));
}
inline uint32_t code_e2m1(float r) {
  const uint32_t u = bits_of(r), a = u & ~kSign;
  const uint32_t large = (a >> 22) - 252u, small = static_cast<uint32_t>(static_cast<int>(__builtin_fabsf(r) * 2.0f));
  return (u >> 28 & 0x8u) | (__builtin_fabsf(r) < 1.0f ? small : large);
}

inline float value_e4m3(unsigned code) {
  const int exponent = static_cast<int>(code >> 3 & 15u), mantissa = static_cast<int>(code & 7u);
  if ((code & 0x7fu) == 0x7fu) return from_bits(0x7fc00000u);
  const float magnitude = exponent == 0 ? static_cast<float>(mantissa) * 0.001953125f : static_cast<float>(8 + mantissa) * power_of_two(exponent - 10);
  return code & 0x80u ? -magnitude : magnitude;
}

uint32_t amax_of(const float* x, int64_t n, uint32_t amax) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t a = bits_of(x[i]) & ~kSign;
    amax = a > amax ? a : amax;   // as integers: NaN is the largest
  }
  return amax;
}

// The exponent of one 128x128 block; false if it has a value that is not finite.
bool block_exponent(const QuantMatrix& m, int64_t row, int64_t last_row, int64_t column, int64_t n, int& exponent) {
  uint32_t amax = 0;
  for (int64_t r = row; r < last_row; ++r) amax = amax_of(m.in + r * m.wide_stride + column, n, amax);
  if (amax >= kInfinity) return false;
  exponent = fp8_exponent(amax);
  return true;
}

}  // namespace

void fake_quant_fp8_rows(const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad) {
  for (int64_t block = begin; block < end; ++block) {
    const int64_t row = block * kFp8Block, last_row = smaller(row + kFp8Block, m.rows);
    for (int64_t column = 0; column < m.columns; column += kFp8Block) {
      const int64_t n = smaller(kFp8Block, m.columns - column);
      int e = 0;
      const bool finite = block_exponent(m, row, last_row, column, n, e);
      n_bad += !finite;
      const float scale = finite ? power_of_two(e) : from_bits(0x7fc00000u), inverse = finite ? power_of_two(-e) : 0.0f;
      for (int64_t r = row; r < last_row; ++r) {
        const float* x = m.in + r * m.wide_stride + column;
        float* y = m.out + r * m.wide_stride + column;
        for (int64_t i = 0; i < n; ++i) y[i] = round_e4m3(x[i] * inverse) * scale;
      }
    }
  }
}

void fake_quant_fp4_rows(const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t column = 0; column < m.columns; column += kFp4Block) {
      const int64_t n = smaller(kFp4Block, m.columns - column);
      const float* x = m.in + row * m.wide_stride + column;
      float* y = m.out + row * m.wide_stride + column;
      const uint32_t amax = amax_of(x, n, 0);
      const bool finite = amax < kInfinity;
      n_bad += !finite;
      const int e = finite ? fp4_exponent(amax) : 0;
      const float scale = finite ? power_of_two(e) : from_bits(0x7fc00000u), inverse = finite ? power_of_two(-e) : 0.0f;
      for (int64_t i = 0; i < n; ++i) y[i] = round_e2m1(x[i] * inverse) * scale;
    }
  }
}

void quantize_fp8_rows(const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad) {
  const int64_t n_blocks = (m.columns + kFp8Block - 1) / kFp8Block;
  for (int64_t block = begin; block < end; ++block) {
    const int64_t row = block * kFp8Block, last_row = smaller(row + kFp8Block, m.rows);
    for (int64_t b = 0; b < n_blocks; ++b) {
      const int64_t column = b * kFp8Block, n = smaller(kFp8Block, m.columns - column);
      int e = 0;
      const bool finite = block_exponent(m, row, last_row, column, n, e);
      n_bad += !finite;
      m.scales[block * n_blocks + b] = static_cast<unsigned char>(e + 127);
      const float inverse = finite ? power_of_two(-e) : 0.0f;
      for (int64_t r = row; r < last_row; ++r) {
        const float* x = m.in + r * m.wide_stride + column;
        unsigned char* q = m.codes + r * m.columns + column;
        for (int64_t i = 0; i < n; ++i) q[i] = code_e4m3(round_e4m3(x[i] * inverse));
      }
    }
  }
}

void quantize_fp4_rows(const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad) {
  const int64_t n_blocks = (m.columns + kFp4Block - 1) / kFp4Block;
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t b = 0; b < n_blocks; ++b) {
      const int64_t column = b * kFp4Block, n = smaller(kFp4Block, m.columns - column);
      const float* x = m.in + row * m.wide_stride + column;
      unsigned char* q = m.codes + (row * m.columns + column) / 2;
      const uint32_t amax = amax_of(x, n, 0);
      const bool finite = amax < kInfinity;
      n_bad += !finite;
      const int e = finite ? fp4_exponent(amax) : 0;
      const float inverse = finite ? power_of_two(-e) : 0.0f;
      m.scales[row * n_blocks + b] = static_cast<unsigned char>(e + 127);
      for (int64_t i = 0; i < n / 2; ++i)
        q[i] = static_cast<unsigned char>(code_e2m1(round_e2m1(x[2 * i] * inverse)) | code_e2m1(round_e2m1(x[2 * i + 1] * inverse)) << 4);
    }
  }
}

void dequantize_fp8_rows(const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad) {
  float values[256];
  for (unsigned code = 0; code < 256; ++code) values[code] = value_e4m3(code);
  const int64_t n_blocks = (m.columns + kFp8Block - 1) / kFp8Block;
  for (int64_t block = begin; block < end; ++block) {
    const int64_t row = block * kFp8Block, last_row = smaller(row + kFp8Block, m.rows);
    for (int64_t b = 0; b < n_blocks; ++b) {
      const int64_t column = b * kFp8Block, n = smaller(kFp8Block, m.columns - column);
      float scale;
      if (m.float_scales) {
        scale = m.float_scales[block * n_blocks + b];
        n_bad += (bits_of(scale) & ~kSign) >= kInfinity;
      } else {
        const unsigned char e = m.scales[block * n_blocks + b];
        n_bad += e == 255;
        scale = e == 255 ? from_bits(0x7fc00000u) : power_of_two(static_cast<int>(e) - 127);
      }
      for (int64_t r = row; r < last_row; ++r) {
        const unsigned char* q = m.codes + r * m.columns + column;
        float* y = m.out + r * m.wide_stride + column;
        for (int64_t i = 0; i < n; ++i) {
          y[i] = values[q[i]] * scale;
          n_bad += (q[i] & 0x7f) == 0x7f;
        }
      }
    }
  }
}

void dequantize_fp4_rows(const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad) {
  static constexpr float kValues[16] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
  const int64_t n_blocks = (m.columns + kFp4Block - 1) / kFp4Block;
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t b = 0; b < n_blocks; ++b) {
      const int64_t column = b * kFp4Block, n = smaller(kFp4Block, m.columns - column);
      const unsigned char e = m.scales[row * n_blocks + b];
      n_bad += e == 255;
      const float scale = e == 255 ? from_bits(0x7fc00000u) : power_of_two(static_cast<int>(e) - 127);
      const unsigned char* q = m.codes + (row * m.columns + column) / 2;
      float* y = m.out + row * m.wide_stride + column;
      for (int64_t i = 0; i < n / 2; ++i) {
        y[2 * i] = kValues[q[i] & 15] * scale;       // the low nibble is the even column
        y[2 * i + 1] = kValues[q[i] >> 4] * scale;
      }
    }
  }
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
