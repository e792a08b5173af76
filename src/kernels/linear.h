#pragma once
// Matrix products of linear layers, y = x W^T.  Versions: reference/linear.cpp, cpu/linear.cpp.
//   x [T, I]   weight [O, I]   y, grad_y [T, O]; rows may be strided (a slice of columns), elements of a row are adjacent

#include <vector>

#include "kernels/registry.h"

namespace temper {

/// y in `out_dtype`: that of x, or the accumulate dtype (sums are never rounded on the way).
struct LinearForward {
  static constexpr auto kName = "linear";
  using Function = Tensor(const Tensor& x, const Tensor& weight, at::ScalarType out_dtype);
};

/// Several layers of one input: y of each as of LinearForward alone.  In one call they share the threads.
struct LinearPart {
  Tensor weight;
  at::ScalarType out_dtype;
};
struct LinearsForward {
  static constexpr auto kName = "linears";
  using Function = std::vector<Tensor>(const Tensor& x, const std::vector<LinearPart>& parts);
};

/// out = grad_y W, or out += grad_y W.  out [T, I], any float dtype; sums are rounded once, when they are written.
struct LinearGradInput {
  static constexpr auto kName = "linear_grad_input";
  using Function = void(const Tensor& grad_y, const Tensor& weight, Tensor& out, bool add);
};

/// grad_weight = grad_y^T x, or grad_weight += grad_y^T x.  grad_weight [O, I] accumulate dtype.
struct LinearGradWeight {
  static constexpr auto kName = "linear_grad_weight";
  using Function = void(const Tensor& grad_y, const Tensor& x, Tensor& grad_weight, bool add);
};

// ---- Block-diagonal layers: group g maps its columns of x by its rows of the weight to its columns of y. ----
//   x [T, G*I]   weight [G*O, I]   y [T, G*O]

struct BlockLinear {
  static constexpr auto kName = "block_linear";
  using Function = Tensor(const Tensor& x, const Tensor& weight, int64_t groups);
};

/// Returns grad_x as x; overwrites grad_weight (accumulate dtype) or adds to it, unless it is undefined.
struct BlockLinearBackward {
  static constexpr auto kName = "block_linear_backward";
  using Function = Tensor(const Tensor& grad_y, const Tensor& x, const Tensor& weight, int64_t groups, const Tensor& grad_weight, bool add);
};

namespace reference {
BlockLinear::Function block_linear;
BlockLinearBackward::Function block_linear_backward;
LinearForward::Function linear;
LinearsForward::Function linears;
LinearGradInput::Function linear_grad_input;
LinearGradWeight::Function linear_grad_weight;
}  // namespace reference

}  // namespace temper
