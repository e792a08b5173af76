#include "kernels/linear.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>

#include <vector>

namespace temper {

Tensor reference::linear(const Tensor& x, const Tensor& weight, at::ScalarType out_dtype) {
  if (x.scalar_type() == out_dtype && weight.scalar_type() == out_dtype) return at::mm(x, weight.t());
  return at::mm(to_accumulate(x), to_accumulate(weight).t()).to(out_dtype);
}

std::vector<Tensor> reference::linears(const Tensor& x, const std::vector<LinearPart>& parts) {
  std::vector<Tensor> y;
  for (const LinearPart& part : parts) y.push_back(linear(x, part.weight, part.out_dtype));
  return y;
}

void reference::linear_grad_input(const Tensor& grad_y, const Tensor& weight, Tensor& out, bool add) {
  const Tensor product = at::mm(to_accumulate(grad_y), to_accumulate(weight));
  if (add)
    out.add_(product);
  else
    out.copy_(product);
}

void reference::linear_grad_weight(const Tensor& grad_y, const Tensor& x, Tensor& grad_weight, bool add) {
  if (!add) grad_weight.zero_();
  grad_weight.addmm_(grad_y.to(grad_weight.scalar_type()).t(), x.to(grad_weight.scalar_type()));
}

Tensor reference::block_linear(const Tensor& x, const Tensor& weight, int64_t groups) {
  const int64_t out = weight.size(0) / groups, in = weight.size(1);
  std::vector<Tensor> columns;
  for (int64_t g = 0; g < groups; ++g) columns.push_back(linear(x.narrow(1, g * in, in), weight.narrow(0, g * out, out), x.scalar_type()));
  return at::cat(columns, 1);
}

Tensor reference::block_linear_backward(const Tensor& grad_y, const Tensor& x, const Tensor& weight, int64_t groups, const Tensor& grad_weight,
                                        bool add) {
  const int64_t out = weight.size(0) / groups, in = weight.size(1);
  Tensor grad_x = at::empty_like(x);
  for (int64_t g = 0; g < groups; ++g) {
    const Tensor dy = grad_y.narrow(1, g * out, out);
    Tensor columns = grad_x.narrow(1, g * in, in);
    linear_grad_input(dy, weight.narrow(0, g * out, out), columns, /*add=*/false);
    if (!grad_weight.defined()) continue;
    Tensor rows = grad_weight.narrow(0, g * out, out);
    linear_grad_weight(dy, x.narrow(1, g * in, in), rows, add);
  }
  return grad_x;
}

namespace {
const ReferenceKernel<BlockLinear> block_registered{&reference::block_linear};
const ReferenceKernel<BlockLinearBackward> block_backward_registered{&reference::block_linear_backward};
const ReferenceKernel<LinearForward> forward_registered{&reference::linear};
const ReferenceKernel<LinearsForward> linears_registered{&reference::linears};
const ReferenceKernel<LinearGradInput> grad_input_registered{&reference::linear_grad_input};
const ReferenceKernel<LinearGradWeight> grad_weight_registered{&reference::linear_grad_weight};
}  // namespace

}  // namespace temper
