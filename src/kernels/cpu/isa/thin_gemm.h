#pragma once
// Products with few rows of a, such as one token for each sequence of a batch (../thin_gemm.h).

#include "kernels/cpu/isa/gemm.h"

namespace temper {

/// Columns [begin, end) of c.  REQUIRES a.column = 1, b.row = 1 (both lie along k), and both operands double or neither.
/// after: what the thread reads next, which is fetched meanwhile; null = nothing.
TEMPER_ISA_FUNCTION(thin_gemm_columns, const GemmProblem& problem, int64_t begin, int64_t end, const void* after)

}  // namespace temper
