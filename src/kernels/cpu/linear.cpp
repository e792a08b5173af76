#include "kernels/linear.h"

#include <ATen/ops/empty.h>

#include <vector>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

GemmProblem problem(const MatrixView& a, const MatrixView& b, int64_t k, const Tensor& c, bool add) {
  return {.m = c.size(0), .n = c.size(1), .k = k, .a = a, .b = b, .c = c.data_ptr(), .c_row = c.stride(0), .c_element = element_of(c), .add = add};
}

void multiply(const MatrixView& a, const MatrixView& b, int64_t k, const Tensor& c, bool add) { gemm({problem(a, b, k, c, add)}); }

Tensor linear(const Tensor& x, const Tensor& weight, at::ScalarType out_dtype) {
  Tensor y = at::empty({x.size(0), weight.size(0)}, x.options().dtype(out_dtype));
  multiply(matrix_view(x), transposed(matrix_view(weight)), x.size(1), y, /*add=*/false);
  return y;
}

std::vector<Tensor> linears(const Tensor& x, const std::vector<LinearPart>& parts) {
  std::vector<Tensor> y;
  std::vector<GemmProblem> problems;
  for (const LinearPart& part : parts) {
    y.push_back(at::empty({x.size(0), part.weight.size(0)}, x.options().dtype(part.out_dtype)));
    problems.push_back(problem(matrix_view(x), transposed(matrix_view(part.weight)), x.size(1), y.back(), /*add=*/false));
  }
  gemm(problems);
  return y;
}

void linear_grad_input(const Tensor& grad_y, const Tensor& weight, Tensor& out, bool add) {
  multiply(matrix_view(grad_y), matrix_view(weight), weight.size(0), out, add);
}

void linear_grad_weight(const Tensor& grad_y, const Tensor& x, Tensor& grad_weight, bool add) {
  multiply(transposed(matrix_view(grad_y)), matrix_view(x), x.size(0), grad_weight, add);
}

// All groups in one call: they share the threads and write their columns where they belong.
Tensor block_linear(const Tensor& x, const Tensor& weight, int64_t groups) {
  const int64_t out = weight.size(0) / groups, in = weight.size(1);
  Tensor y = at::empty({x.size(0), groups * out}, x.options());
  const MatrixView rows = matrix_view(x), matrices = matrix_view(weight);
  char* const to = static_cast<char*>(y.data_ptr());
  std::vector<GemmProblem> problems;
  for (int64_t g = 0; g < groups; ++g)
    problems.push_back({.m = x.size(0), .n = out, .k = in, .a = from(rows, 0, g * in), .b = transposed(from(matrices, g * out, 0)),
                        .c = to + g * out * element_bytes(element_of(y)), .c_row = groups * out, .c_element = element_of(y), .add = false});
  gemm(problems);
  return y;
}

Tensor block_linear_backward(const Tensor& grad_y, const Tensor& x, const Tensor& weight, int64_t groups, const Tensor& grad_weight, bool add) {
  const int64_t out = weight.size(0) / groups, in = weight.size(1);
  Tensor grad_x = at::empty({x.size(0), groups * in}, x.options());
  std::vector<GemmProblem> problems;
  for (int64_t g = 0; g < groups; ++g) {
    const MatrixView dy = matrix_view(grad_y.narrow(1, g * out, out));
    problems.push_back(problem(dy, matrix_view(weight.narrow(0, g * out, out)), out, grad_x.narrow(1, g * in, in), false));
    if (grad_weight.defined())
      problems.push_back(problem(transposed(dy), matrix_view(x.narrow(1, g * in, in)), x.size(0), grad_weight.narrow(0, g * out, out), add));
  }
  gemm(problems);
  return grad_x;
}

const CpuKernel<BlockLinear, &block_linear> block_registered;
const CpuKernel<BlockLinearBackward, &block_linear_backward> block_backward_registered;
const CpuKernel<LinearForward, &linear> forward_registered;
const CpuKernel<LinearsForward, &linears> linears_registered;
const CpuKernel<LinearGradInput, &linear_grad_input> grad_input_registered;
const CpuKernel<LinearGradWeight, &linear_grad_weight> grad_weight_registered;

}  // namespace
}  // namespace temper
