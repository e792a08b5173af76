#pragma once

#include "kernels/cpu/isa/function.h"

namespace temper {

/// A matrix and its quantised form (kernels/quant.h).
///   wide   [rows, columns] float, rows `wide_stride` apart
///   codes  FP8: [rows, columns] bytes.  FP4: [rows, columns / 2] bytes
///   scales E8M0 bytes.  FP8: [ceil(rows / 128), ceil(columns / 128)].  FP4: [rows, ceil(columns / 32)]
struct QuantMatrix {
  int64_t rows, columns, wide_stride;
  const float* in;              // of quantise and fake quantise
  float* out;                   // of dequantise and fake quantise
  unsigned char* codes;
  unsigned char* scales;
  const float* float_scales;    // dequantise FP8 only: if not null, used instead of `scales`
};

// begin and end count rows of blocks (128 matrix rows for FP8, 1 for FP4).  Each adds the number of bad values it met to n_bad:
// non-finite inputs (written as NaN), or NaN codes and NaN scales.
TEMPER_ISA_FUNCTION(fake_quant_fp8_rows, const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad)
TEMPER_ISA_FUNCTION(fake_quant_fp4_rows, const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad)
TEMPER_ISA_FUNCTION(quantize_fp8_rows, const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad)
TEMPER_ISA_FUNCTION(quantize_fp4_rows, const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad)
TEMPER_ISA_FUNCTION(dequantize_fp8_rows, const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad)
TEMPER_ISA_FUNCTION(dequantize_fp4_rows, const QuantMatrix& m, int64_t begin, int64_t end, int64_t& n_bad)

}  // namespace temper
