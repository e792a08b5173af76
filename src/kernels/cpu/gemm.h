#pragma once
// Matrix products of the CPU kernels: our own, because libtorch's round bf16 products to bf16 and cannot add to fp32.

#include <vector>

#include "kernels/cpu/isa/gemm.h"
#include "tensor/tensor.h"

namespace temper {

/// Computes all problems (of any sizes, distinct outputs) on all threads.  Every element is one sum over ascending k, so
/// the result does not depend on the number of threads.
void gemm(const std::vector<GemmProblem>& problems);

/// A [rows, columns] tensor as an operand; its rows or its columns must be adjacent in memory.
MatrixView matrix_view(const Tensor& tensor);
MatrixView transposed(const MatrixView& matrix);
/// The matrix without its first rows and columns.  A view of a tensor would cost more than the product of a few rows.
MatrixView from(const MatrixView& matrix, int64_t row, int64_t column);

}  // namespace temper
