#pragma once
// Matrix products of linear layers, y = x W^T.  Versions: reference/linear.cpp.
//   x [T, I]   weight [O, I]   y, grad_y [T, O]; rows may be strided (a slice of columns), elements of a row are adjacent

#include "kernels/registry.h"

namespace temper {

/// y in `out_dtype`: that of x, or the accumulate dtype (sums are never rounded on the way).
struct LinearForward {
  static constexpr auto kName = "linear";
  using Function = Tensor(const Tensor& x, const Tensor& weight, at::ScalarType out_dtype);
};

/// sum += grad_y W.  sum [T, I] accumulate dtype.
struct LinearGradInput {
  static constexpr auto kName = "linear_grad_input";
  using Function = void(const Tensor& grad_y, const Tensor& weight, Tensor& sum);
};

/// grad_weight += grad_y^T x.  grad_weight [O, I] accumulate dtype.
struct LinearGradWeight {
  static constexpr auto kName = "linear_grad_weight";
  using Function = void(const Tensor& grad_y, const Tensor& x, Tensor& grad_weight);
};

namespace reference {
LinearForward::Function linear;
LinearGradInput::Function linear_grad_input;
LinearGradWeight::Function linear_grad_weight;
}  // namespace reference

}  // namespace temper
