#pragma once
// RMS normalisation over the last dimension, weighted or not.  docs/deepseek_v4.md, "Norms".

#include "tensor/weight.h"

namespace temper {

struct RmsNormed {
  Tensor y;      // as x
  Tensor rstd;   // [...] accumulate dtype; saved for the backward pass
};

/// y = weight * x * rstd,  rstd = (mean x^2 + eps)^-1/2, computed in fp32 (fp64 for fp64), stored in the dtype of x.
/// x [..., N]; weight [N] or undefined.
RmsNormed rms_norm(const Tensor& x, const Tensor& weight, double eps);

/// grad_x as x; adds to weight.grad.  The second form is the unweighted one.
Tensor rms_norm_backward(const Tensor& grad_y, const Tensor& x, const Tensor& rstd, const Weight& weight);
Tensor rms_norm_backward(const Tensor& grad_y, const Tensor& x, const Tensor& rstd);

}  // namespace temper
