#include "ops/linear.h"

#include <ATen/ops/zeros.h>

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
  Tensor sum = at::zeros({x.size(0), weight.value.size(1)}, x.options().dtype(accumulate_dtype(x.scalar_type())));
  linear_backward_into(grad_y, x, weight, sum);
  return sum.to(x.scalar_type());
}

void linear_backward_into(const Tensor& grad_y, const Tensor& x, const Weight& weight, Tensor& grad_x_sum) {
  kernel<LinearGradInput>(x)(grad_y, weight.value, grad_x_sum);
  linear_backward_weight(grad_y, x, weight);
}

void linear_backward_weight(const Tensor& grad_y, const Tensor& x, const Weight& weight) {
  if (!weight.trained()) return;
  Tensor grad = weight.grad;
  kernel<LinearGradWeight>(x)(grad_y, x, grad);
}

}  // namespace temper
