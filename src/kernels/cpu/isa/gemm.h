#pragma once
// Matrix products on raw pointers, in pieces that threads share (../gemm.h drives them).

#include "kernels/cpu/isa/function.h"

namespace temper {

/// A matrix in memory; element (i, j) is at data + i * row + j * column (counted in elements).  One of row, column is 1.
struct MatrixView {
  const void* data = nullptr;
  int64_t row = 0, column = 1;
  Element element = Element::kFloat;
};

/// c [m, n] = a [m, k] b [k, n], or c += ...   Sums are fp32 (double for double operands), always over ascending k.
struct GemmProblem {
  int64_t m = 0, n = 0, k = 0;
  MatrixView a, b;
  void* c = nullptr;      // rows of c_row elements
  int64_t c_row = 0;
  Element c_element = Element::kFloat;
  bool add = false;
};

/// Sizes that depend on the instruction set and the operands.
struct GemmSizes {
  int64_t panel_columns;    // columns of one packed panel of b
  int64_t panel_bytes;      // of one whole panel of b (all k)
  int64_t scratch_bytes;    // of one block
};
inline constexpr int64_t kGemmBlockRows = 64, kGemmBlockPanels = 6;

TEMPER_ISA_FUNCTION(gemm_sizes, const GemmProblem& problem, GemmSizes& sizes)
/// Packs the panels [first, last) of b.
TEMPER_ISA_FUNCTION(gemm_pack, const GemmProblem& problem, void* packed, int64_t first, int64_t last)
/// Rows [m_begin, m_end), at most kGemmBlockRows, of the panels [first, last), at most kGemmBlockPanels.
TEMPER_ISA_FUNCTION(gemm_block, const GemmProblem& problem, const void* packed, int64_t m_begin, int64_t m_end, int64_t first, int64_t last, void* scratch)

}  // namespace temper
