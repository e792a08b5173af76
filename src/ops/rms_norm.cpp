#include "ops/rms_norm.h"

#include "kernels/rms_norm.h"

namespace temper {

RmsNormed rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  if (weight.defined()) expect_shape(weight, {x.size(-1)}, "rms_norm.weight");
  auto [y, rstd] = kernel<RmsNorm>(x)(x, weight, eps);
  return {y, rstd};
}

Tensor rms_norm_backward(const Tensor& grad_y, const Tensor& x, const Tensor& rstd, const Weight& weight) {
  expect_same_shape("rms_norm_backward", {grad_y, x});
  return kernel<RmsNormBackward>(x)(grad_y, x, weight.value, rstd, weight.grad_sum());
}

Tensor rms_norm_backward(const Tensor& grad_y, const Tensor& x, const Tensor& rstd) { return rms_norm_backward(grad_y, x, rstd, Weight{}); }

}  // namespace temper
