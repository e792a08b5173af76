#pragma once
// Matrix products with few rows, as in decoding: limited by reading b, so b is read once where it lies and never packed.

#include <vector>

#include "kernels/cpu/isa/gemm.h"

namespace temper {

/// Can thin_gemm compute this one, and is it the better choice?
bool is_thin(const GemmProblem& problem);

/// As gemm (gemm.h), for problems that are thin.  An element is a sum over k in an order of its own (lanes first, then a tree),
/// which depends on k and the instruction set only: not on the other rows, nor on the number of threads.  Where b is in use as a compact
/// weight of the calling thread (kernels/compact_weights.h) that is read instead, and sums run over ascending k.
void thin_gemm(const std::vector<GemmProblem>& problems);

}  // namespace temper
