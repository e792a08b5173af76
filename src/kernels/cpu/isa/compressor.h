#pragma once

#include "kernels/cpu/isa/function.h"

namespace temper {

/// Pointers of compressor_pool (kernels/compressor.h); all real numbers float, or double.
struct PoolArgs {
  Element element;   // kFloat or kDouble
  int64_t ratio, dim, width;   // width = columns of values and gates: dim or 2 * dim
  bool overlap;
  const int64_t *first_token, *previous;
  const void *values, *gates;   // [T, width]
  const void* ape;              // [ratio, width]
  void* pooled;                 // [N, dim]
  const void* grad_pooled;      // [N, dim]     backward only, as the following
  void *grad_values, *grad_gates;   // [T, width], zero before the call
};

/// Entries [begin, end).
TEMPER_ISA_FUNCTION(pool_entries, const PoolArgs& a, int64_t begin, int64_t end)
/// Adds to grad_ape [ratio, width] unless it is null.
TEMPER_ISA_FUNCTION(pool_backward_entries, const PoolArgs& a, void* grad_ape, int64_t begin, int64_t end)

}  // namespace temper
