#pragma once
// Linear layers over groups of rows (the experts) and over all rows (one group).  y = x W^T, W stored [out, in].
// Kernels: kernels/grouped_matmul.h.

#include <vector>

#include "kernels/grouped_matmul.h"
#include "tensor/weight.h"

namespace temper {

/// x [N, I], weight [G, O, I]; rows of group g are [offsets[g], offsets[g + 1]) -> [N, O] as x
Tensor grouped_linear(const Tensor& x, const Tensor& weight, const std::vector<int64_t>& offsets);
/// Several of them, of inputs of one dtype, in one call (GroupedMatmuls).
std::vector<Tensor> grouped_linears(const std::vector<GroupedPart>& parts);
/// -> grad_x [N, I] as x; adds to weight.grad [G, O, I]
Tensor grouped_linear_backward(const Tensor& grad_y, const Tensor& x, const Weight& weight, const std::vector<int64_t>& offsets);

/// One group: weight [O, I].
GroupedPart dense_part(const Tensor& x, const Tensor& weight);
Tensor dense_linear(const Tensor& x, const Tensor& weight);
Tensor dense_linear_backward(const Tensor& grad_y, const Tensor& x, const Weight& weight);

}  // namespace temper
