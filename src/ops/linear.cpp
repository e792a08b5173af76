#include "ops/linear.h"

#include <ATen/ops/empty.h>

#include "kernels/linear.h"

namespace temper {

Tensor linear(const Tensor& x, const Tensor& weight) {
  expect_shape(weight, {-1, x.size(-1)}, "linear.weight");
  return kernel<LinearForward>(x)(x, weight, x.scalar_type());
}

Tensor linear_wide(const Tensor& x, const Tensor& weight) {
  expect_shape(weight, {-1, x.size(-1)}, "linear.weight");
  return kernel<LinearForward>(x)(x, weight, accumulate_dtype(x.scalar_type()));
}

Tensor linear_backward(const Tensor& grad_y, const Tensor& x, const Weight& weight) {
  Tensor grad_x = at::empty({x.size(0), weight.value.size(1)}, x.options());
  kernel<LinearGradInput>(x)(grad_y, weight.value, grad_x, /*add=*/false);
  linear_backward_weight(grad_y, x, weight);
  return grad_x;
}

void linear_backward_into(const Tensor& grad_y, const Tensor& x, const Weight& weight, Tensor& grad_x_sum) {
  kernel<LinearGradInput>(x)(grad_y, weight.value, grad_x_sum, /*add=*/true);
  linear_backward_weight(grad_y, x, weight);
}

void linear_backward_weight(const Tensor& grad_y, const Tensor& x, const Weight& weight) {
  if (!weight.trained()) return;
  Tensor grad = weight.grad;
  kernel<LinearGradWeight>(x)(grad_y, x, grad, weight.adds());
}

Tensor block_linear(const Tensor& x, const Tensor& weight, int64_t groups) {
  expect_shape(weight, {-1, x.size(1) / groups}, "block_linear.weight");
  return kernel<BlockLinear>(x)(x, weight, groups);
}

Tensor block_linear_backward(const Tensor& grad_y, const Tensor& x, const Weight& weight, int64_t groups) {
  return kernel<BlockLinearBackward>(x)(grad_y, x, weight.value, groups, weight.grad, weight.trained() && weight.adds());
}

}  // namespace temper
