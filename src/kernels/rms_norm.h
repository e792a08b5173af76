#pragma once
// RMS normalisation over the last dimension.  Versions: reference/rms_norm.cpp, cpu/rms_norm.cpp.

#include <utility>

#include "kernels/registry.h"

namespace temper {

/// y = weight * x * rstd,  rstd = (mean x^2 + eps)^-1/2; weight may be undefined (1).
/// x [..., N] any float dtype; weight [N]; y as x, rstd [...] in the accumulate dtype.
struct RmsNorm {
  static constexpr auto kName = "rms_norm";
  using Function = std::pair<Tensor, Tensor>(const Tensor& x, const Tensor& weight, double eps);
};

/// Returns grad_x (as x) and adds the weight's gradient to grad_weight [N] (accumulate dtype) unless it is undefined.
struct RmsNormBackward {
  static constexpr auto kName = "rms_norm_backward";
  using Function = Tensor(const Tensor& grad_y, const Tensor& x, const Tensor& weight, const Tensor& rstd, const Tensor& grad_weight);
};

namespace reference {
RmsNorm::Function rms_norm;
RmsNormBackward::Function rms_norm_backward;
}  // namespace reference

}  // namespace temper
