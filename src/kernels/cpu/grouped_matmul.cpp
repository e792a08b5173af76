#include "kernels/grouped_matmul.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/thin_gemm.h"

namespace temper {
namespace {

template <class F>
void add_problems(std::vector<GemmProblem>& problems, const std::vector<int64_t>& offsets, const F& make_problem) {
  problems.reserve(problems.size() + offsets.size());
  for (size_t g = 0; g + 1 < offsets.size(); ++g)
    if (offsets[g + 1] > offsets[g]) problems.push_back(make_problem(static_cast<int64_t>(g), offsets[g], offsets[g + 1] - offsets[g]));
}

void* row_pointer(const Tensor& tensor, int64_t row) {
  return static_cast<char*>(tensor.data_ptr()) + static_cast<size_t>(row * tensor.stride(0)) * tensor.element_size();
}

// Matrices of one size, one after another: where that of group 0 lies, and how far the next one is.  A view of a tensor for each group would
// cost more than the products of a decoding step.
struct Groups {
  MatrixView first;
  size_t bytes;
  explicit Groups(const Tensor& weight)
      : first(weight.is_contiguous() ? MatrixView{.data = weight.const_data_ptr(), .row = weight.size(2), .column = 1, .element = element_of(weight)} : matrix_view(weight[0])),
        bytes(static_cast<size_t>(weight.stride(0)) * weight.element_size()) {}
  MatrixView operator[](int64_t g) const {
    MatrixView view = first;
    view.data = static_cast<const char*>(first.data) + static_cast<size_t>(g) * bytes;
    return view;
  }
};

// The products of all groups in one call: they share the threads.  x contiguous.
Tensor rows_times(const Tensor& x, const Tensor& weight, const std::vector<int64_t>& offsets, at::ScalarType out_dtype, bool transposed_weight, std::vector<GemmProblem>& problems) {
  const int64_t n = transposed_weight ? weight.size(1) : weight.size(2);
  Tensor y = at::empty({x.size(0), n}, x.options().dtype(out_dtype));
  const Groups groups(weight);
  const MatrixView rows = matrix_view(x);
  add_problems(problems, offsets, [&](int64_t g, int64_t start, int64_t size) {
    MatrixView a = rows;
    a.data = row_pointer(x, start);
    return GemmProblem{.m = size, .n = n, .k = x.size(1), .a = a, .b = transposed_weight ? transposed(groups[g]) : groups[g],
                       .c = row_pointer(y, start), .c_row = n, .c_element = element_of(y), .add = false};
  });
  return y;
}

Tensor rows_times(const Tensor& x_any, const Tensor& weight, const std::vector<int64_t>& offsets, at::ScalarType out_dtype, bool transposed_weight) {
  const Tensor x = x_any.contiguous();
  std::vector<GemmProblem> problems;
  Tensor y = rows_times(x, weight, offsets, out_dtype, transposed_weight, problems);
  gemm(problems);
  return y;
}

Tensor grouped_matmul(const Tensor& x, const Tensor& weight, const std::vector<int64_t>& offsets, at::ScalarType out_dtype) {
  return rows_times(x, weight, offsets, out_dtype, /*transposed_weight=*/true);
}

std::vector<Tensor> grouped_matmuls(const std::vector<GroupedPart>& parts, at::ScalarType out_dtype) {
  std::vector<Tensor> x, y;
  std::vector<GemmProblem> problems;
  std::vector<size_t> ends;   // of each part's problems
  for (const GroupedPart& part : parts) {
    x.push_back(part.x.contiguous());
    y.push_back(rows_times(x.back(), part.weight, part.offsets, out_dtype, /*transposed_weight=*/true, problems));
    ends.push_back(problems.size());
  }
  if (std::all_of(problems.begin(), problems.end(), is_thin)) {
    gemm(problems);
    return y;
  }
  // Which kind of product a part gets must not depend on the others: it is another order of sums.
  size_t begin = 0;
  for (const size_t end : ends) {
    gemm({problems.begin() + static_cast<ptrdiff_t>(begin), problems.begin() + static_cast<ptrdiff_t>(end)});
    begin = end;
  }
  return y;
}

Tensor grouped_matmul_grad_input(const Tensor& grad_y, const Tensor& weight, const std::vector<int64_t>& offsets, at::ScalarType out_dtype) {
  return rows_times(grad_y, weight, offsets, out_dtype, /*transposed_weight=*/false);
}

void grouped_matmul_grad_weight(const Tensor& grad_y_any, const Tensor& x_any, const std::vector<int64_t>& offsets, const Tensor& grad_weight, bool add) {
  const Tensor grad_y = grad_y_any.contiguous(), x = x_any.contiguous();
  for (size_t g = 0; g + 1 < offsets.size() && !add; ++g)
    if (offsets[g + 1] == offsets[g]) grad_weight[static_cast<int64_t>(g)].zero_();
  std::vector<GemmProblem> problems;
  add_problems(problems, offsets, [&](int64_t g, int64_t start, int64_t size) {
    return GemmProblem{.m = grad_y.size(1), .n = x.size(1), .k = size, .a = transposed(matrix_view(grad_y.narrow(0, start, size))),
                       .b = matrix_view(x.narrow(0, start, size)), .c = row_pointer(grad_weight, g), .c_row = grad_weight.stride(1),
                       .c_element = element_of(grad_weight), .add = add};
  });
  gemm(problems);
}

const CpuKernel<GroupedMatmul, &grouped_matmul> forward_registered;
const CpuKernel<GroupedMatmuls, &grouped_matmuls> several_registered;
const CpuKernel<GroupedMatmulGradInput, &grouped_matmul_grad_input> grad_input_registered;
const CpuKernel<GroupedMatmulGradWeight, &grouped_matmul_grad_weight> grad_weight_registered;

}  // namespace
}  // namespace temper
