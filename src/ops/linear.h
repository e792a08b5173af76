#pragma once
// Linear layers without bias, y = x W^T, W [O, I] as in released weights.

#include "tensor/weight.h"

namespace temper {

/// x [T, I] -> [T, O] in the dtype of x.
Tensor linear(const Tensor& x, const Tensor& weight);
/// The same in the accumulate dtype (fp32 from bf16 inputs): for sums that must not be rounded (compressor, indexer weights, router).
Tensor linear_wide(const Tensor& x, const Tensor& weight);

/// grad_x [T, I] in the dtype of x; adds grad_y^T x to weight.grad unless frozen.  grad_y [T, O] may be wider than x.
Tensor linear_backward(const Tensor& grad_y, const Tensor& x, const Weight& weight);
/// For an input with several consumers: adds grad_y W to grad_x_sum [T, I] (accumulate dtype) instead of returning it.
void linear_backward_into(const Tensor& grad_y, const Tensor& x, const Weight& weight, Tensor& grad_x_sum);
/// Only the weight's part: for an input that takes no gradient.
void linear_backward_weight(const Tensor& grad_y, const Tensor& x, const Weight& weight);

/// Block-diagonal: group g maps columns g of x by rows g of the weight.  x [T, G*I], weight [G*O, I] -> [T, G*O] as x.
Tensor block_linear(const Tensor& x, const Tensor& weight, int64_t groups);
Tensor block_linear_backward(const Tensor& grad_y, const Tensor& x, const Weight& weight, int64_t groups);

}  // namespace temper
