#include "kernels/linear.h"

#include <ATen/ops/empty.h>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

void multiply(const MatrixView& a, const MatrixView& b, int64_t k, const Tensor& c, bool add) {
  gemm({{.m = c.size(0), .n = c.size(1), .k = k, .a = a, .b = b, .c = c.data_ptr(), .c_row = c.stride(0), .c_element = element_of(c), .add = add}});
}

Tensor linear(const Tensor& x, const Tensor& weight, at::ScalarType out_dtype) {
  Tensor y = at::empty({x.size(0), weight.size(0)}, x.options().dtype(out_dtype));
  multiply(matrix_view(x), transposed(matrix_view(weight)), x.size(1), y, /*add=*/false);
  return y;
}

void linear_grad_input(const Tensor& grad_y, const Tensor& weight, Tensor& sum) {
  multiply(matrix_view(grad_y), matrix_view(weight), weight.size(0), sum, /*add=*/true);
}

void linear_grad_weight(const Tensor& grad_y, const Tensor& x, Tensor& grad_weight) {
  multiply(transposed(matrix_view(grad_y)), matrix_view(x), x.size(0), grad_weight, /*add=*/true);
}

const DeviceKernel<LinearForward> forward_registered{c10::DeviceType::CPU, &linear};
const DeviceKernel<LinearGradInput> grad_input_registered{c10::DeviceType::CPU, &linear_grad_input};
const DeviceKernel<LinearGradWeight> grad_weight_registered{c10::DeviceType::CPU, &linear_grad_weight};

}  // namespace
}  // namespace temper
