#include "kernels/grouped_matmul.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>

namespace temper::reference {
namespace {

template <class F>
Tensor by_group(const std::vector<int64_t>& offsets, const F& product) {
  std::vector<Tensor> groups;
  for (size_t g = 0; g + 1 < offsets.size(); ++g) groups.push_back(product(static_cast<int64_t>(g), offsets[g], offsets[g + 1] - offsets[g]));
  return at::cat(groups);
}

}  // namespace

Tensor grouped_matmul(const Tensor& x, const Tensor& weight, const std::vector<int64_t>& offsets, at::ScalarType out_dtype) {
  return by_group(offsets, [&](int64_t g, int64_t start, int64_t size) {
    return at::matmul(to_accumulate(x.narrow(0, start, size)), to_accumulate(weight[g]).t()).to(out_dtype);
  });
}

std::vector<Tensor> grouped_matmuls(const std::vector<GroupedPart>& parts, at::ScalarType out_dtype) {
  std::vector<Tensor> y;
  for (const GroupedPart& part : parts) y.push_back(grouped_matmul(part.x, part.weight, part.offsets, out_dtype));
  return y;
}

Tensor grouped_matmul_grad_input(const Tensor& grad_y, const Tensor& weight, const std::vector<int64_t>& offsets, at::ScalarType out_dtype) {
  return by_group(offsets, [&](int64_t g, int64_t start, int64_t size) {
    return at::matmul(to_accumulate(grad_y.narrow(0, start, size)), to_accumulate(weight[g])).to(out_dtype);
  });
}

void grouped_matmul_grad_weight(const Tensor& grad_y, const Tensor& x, const std::vector<int64_t>& offsets, const Tensor& grad_weight, bool add) {
  if (!add) grad_weight.zero_();
  for (size_t g = 0; g + 1 < offsets.size(); ++g) {
    const int64_t start = offsets[g], size = offsets[g + 1] - start;
    if (size == 0) continue;
    grad_weight[static_cast<int64_t>(g)].add_(at::matmul(to_accumulate(grad_y.narrow(0, start, size)).t(), to_accumulate(x.narrow(0, start, size))));
  }
}

namespace {
const ReferenceKernel<GroupedMatmul> forward_registered{&grouped_matmul};
const ReferenceKernel<GroupedMatmuls> several_registered{&grouped_matmuls};
const ReferenceKernel<GroupedMatmulGradInput> grad_input_registered{&grouped_matmul_grad_input};
const ReferenceKernel<GroupedMatmulGradWeight> grad_weight_registered{&grouped_matmul_grad_weight};
}  // namespace

}  // namespace temper::reference
