#pragma once

#include "kernels/cpu/isa/function.h"

namespace temper {

/// Pointers of the kernels of kernels/rope.h.  A = float, double for kDouble elements.  Rows are tokens.
struct RopeRows {
  Element element;
  int64_t n_heads, dim, half;   // half = R / 2
  const void *cos, *sin;        // [T, half] A
  bool inverse;
  double eps;
  const void* x;                // [T, H, dim] element: input of rope and norm_rope, output y for the backward pass
  void* out;                    // the same shape; may be x for rope
  void* rstd;                   // [T, H] A
  const void* grad_y;           // [T, H, dim] element
};

TEMPER_ISA_FUNCTION(rope_rows, const RopeRows& a, int64_t begin, int64_t end)
TEMPER_ISA_FUNCTION(norm_rope_rows, const RopeRows& a, int64_t begin, int64_t end)
TEMPER_ISA_FUNCTION(norm_rope_backward_rows, const RopeRows& a, int64_t begin, int64_t end)
/// rstd[row] = x[row] . grad_y[row] for heads instead of tokens: rows [begin, end) of T * H.
TEMPER_ISA_FUNCTION(head_dot_rows, const RopeRows& a, int64_t begin, int64_t end)

}  // namespace temper
