#pragma once

#include "kernels/cpu/isa/function.h"

namespace temper {

/// Pointers of rms_norm (kernels/rms_norm.h).  A = float, double for kDouble elements.
struct RmsNormRows {
  Element element;
  int64_t size;           // of one row
  double eps;
  const void* x;          // [rows, size] element
  const void* weight;     // [size] A, or null
  void* y;                // [rows, size] element
  void* rstd;             // [rows] A
  const void* grad_y;     // [rows, size] element    backward only, as the following
  void* grad_x;           // [rows, size] element
};

TEMPER_ISA_FUNCTION(rms_norm_rows, const RmsNormRows& a, int64_t begin, int64_t end)
/// Adds the rows' part of the weight's gradient to grad_weight [size] A, unless null.
TEMPER_ISA_FUNCTION(rms_norm_backward_rows, const RmsNormRows& a, void* grad_weight, int64_t begin, int64_t end)

}  // namespace temper
