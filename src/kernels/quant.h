#pragma once
// The official block formats (docs/deepseek_v4.md): FP8 e4m3 with one scale for each block of 128 x 128, FP4 e2m1 with one
// scale for each 32 consecutive columns of a row.  Scales are powers of two (E8M0).
//
// Rounding is to the nearest value of the grid, ties to even, with the scale 2^ceil(log2(amax / 448)) or
// 2^ceil(log2(amax / 6)) of each block (1 for a block of zeros).  A matrix that came from either format with E8M0 scales
// is reproduced without loss: the new scale is never larger than the one it had.
// Blocks at the right and lower edge may be smaller; FP4 needs an even number of columns.

#include "kernels/registry.h"

namespace temper {

/// The value that quantising and dequantising gives: what quantisation-aware training computes with.
/// weight [rows, columns] of any float dtype; the result is as weight.  A block with a value that is not finite becomes NaN.
/// Versions: reference/quant.cpp (any device, meta too), cpu/quant.cpp.
struct FakeQuantFp8Block {
  static constexpr auto kName = "fake_quant_fp8_block";
  using Function = Tensor(const Tensor& weight);
};
struct FakeQuantFp4Block {
  static constexpr auto kName = "fake_quant_fp4_block";
  using Function = Tensor(const Tensor& weight);
};
inline Tensor fake_quant_fp8_block(const Tensor& weight) { return kernel<FakeQuantFp8Block>(weight)(weight); }
inline Tensor fake_quant_fp4_block(const Tensor& weight) { return kernel<FakeQuantFp4Block>(weight)(weight); }

namespace reference {
FakeQuantFp8Block::Function fake_quant_fp8_block;
FakeQuantFp4Block::Function fake_quant_fp4_block;
}  // namespace reference

/// A matrix as the official files hold it.
///   codes   FP8: [rows, columns] float8_e4m3fn.  FP4: [rows, columns / 2] int8, the low nibble is the even column
///   scales  FP8: [ceil(rows / 128), ceil(columns / 128)].  FP4: [rows, ceil(columns / 32)].  float8_e8m0fnu
///   n_bad   blocks with values that are not finite: nothing is right in those
struct Quantized {
  Tensor codes, scales;
  int64_t n_bad = 0;
};
/// weight [rows, columns] on the CPU, any float dtype.
Quantized quantize_fp8_block(const Tensor& weight);
Quantized quantize_fp4_block(const Tensor& weight);

/// Exact in fp32 for E8M0 scales; FP8 also takes float32 scales (base releases), whose products round once.
///   n_bad  NaN codes and NaN scales found
struct Dequantized {
  Tensor value;   // [rows, columns] float32
  int64_t n_bad = 0;
};
Dequantized dequantize_fp8_block(const Tensor& codes, const Tensor& scales);
Dequantized dequantize_fp4_block(const Tensor& codes, const Tensor& scales);

/// Blocks of 128 x 128 whose FP4 values do not all fit FP8 under the largest FP4 scale / 64 (largest scale > 2^14 times
/// the smallest of a non-zero row piece): for the others the repacking FP4 -> FP8 is without loss.
///   scales [rows, columns / 32] float8_e8m0fnu
int64_t count_lossy_fp8_repacks(const Tensor& scales);

}  // namespace temper
