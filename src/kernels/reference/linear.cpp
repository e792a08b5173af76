#include "kernels/linear.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

namespace temper {

Tensor reference::linear(const Tensor& x, const Tensor& weight, at::ScalarType out_dtype) {
  if (x.scalar_type() == out_dtype && weight.scalar_type() == out_dtype) return at::mm(x, weight.t());
  return at::mm(to_accumulate(x), to_accumulate(weight).t()).to(out_dtype);
}

void reference::linear_grad_input(const Tensor& grad_y, const Tensor& weight, Tensor& sum) {
  sum.addmm_(grad_y.to(sum.scalar_type()), weight.to(sum.scalar_type()));
}

void reference::linear_grad_weight(const Tensor& grad_y, const Tensor& x, Tensor& grad_weight) {
  grad_weight.addmm_(grad_y.to(grad_weight.scalar_type()).t(), x.to(grad_weight.scalar_type()));
}

namespace {
const ReferenceKernel<LinearForward> forward_registered{&reference::linear};
const ReferenceKernel<LinearGradInput> grad_input_registered{&reference::linear_grad_input};
const ReferenceKernel<LinearGradWeight> grad_weight_registered{&reference::linear_grad_weight};
}  // namespace

}  // namespace temper
