#pragma once
// Matrix products on raw pointers, in tasks that threads share (../gemm.h drives them).

#include "kernels/cpu/isa/function.h"

namespace temper {

/// A matrix in memory; element (i, j) is at data + i * row + j * column (counted in elements).  One of row, column is 1.
struct MatrixView {
  const void* data = nullptr;
  int64_t row = 0, column = 1;
  Element element = Element::kFloat;
};

/// c [m, n] = a [m, k] b [k, n], or c += ...   Sums are fp32 (double for double operands), over ascending k.
struct GemmProblem {
  int64_t m = 0, n = 0, k = 0;
  MatrixView a, b;
  void* c = nullptr;      // rows of c_row elements
  int64_t c_row = 0;
  Element c_element = Element::kFloat;
  bool add = false;
  bool upper = false;     // of a square c only elements (i, j >= i) are wanted; others are left alone or overwritten
};

/// How one problem is cut; depends on the instruction set and the operands, never on the number of threads.
/// Columns of c go in panels of some vectors; k goes in blocks, whose part of b is packed panel by panel.
struct GemmPlan {
  int64_t panels;            // all columns of c
  int64_t chunk_panels;      // most of one task: their packed block stays in the second cache
  int64_t task_rows;         // most of one task
  int64_t k_blocks;
  bool packs_a;              // rows of a cannot be read where they lie
  int64_t workspace_bytes;   // of one task
};

/// Rows [m_begin, m_end) and panels [first_panel, last_panel) of c.
struct GemmTask {
  int64_t m_begin, m_end, first_panel, last_panel;
  bool packed;   // the workspace still holds these panels of b (possible where there is one block of k)
};

inline constexpr int64_t kGemmTaskUnit = 8;   // rows of a task are a multiple of it, except for the last task

TEMPER_ISA_FUNCTION(gemm_plan, const GemmProblem& problem, GemmPlan& plan)
/// workspace: plan.workspace_bytes, aligned to 64.
TEMPER_ISA_FUNCTION(gemm_task, const GemmProblem& problem, const GemmTask& task, void* workspace)

}  // namespace temper
