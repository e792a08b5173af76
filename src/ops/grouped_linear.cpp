#include "ops/grouped_linear.h"

namespace temper {
namespace {

void check_groups(const Tensor& x, const Tensor& weight, const std::vector<int64_t>& offsets) {
  expect_shape(weight, {static_cast<int64_t>(offsets.size()) - 1, -1, x.size(1)}, "grouped_linear.weight");
}

}  // namespace

Tensor grouped_linear(const Tensor& x, const Tensor& weight, const std::vector<int64_t>& offsets) {
  check_groups(x, weight, offsets);
  return kernel<GroupedMatmul>(x)(x, weight, offsets, x.scalar_type());
}

std::vector<Tensor> grouped_linears(const std::vector<GroupedPart>& parts) {
  for (const GroupedPart& part : parts) check_groups(part.x, part.weight, part.offsets);
  const Tensor& x = parts.front().x;
  return kernel<GroupedMatmuls>(x)(parts, x.scalar_type());
}

Tensor grouped_linear_backward(const Tensor& grad_y, const Tensor& x, const Weight& weight, const std::vector<int64_t>& offsets) {
  expect_shape(grad_y, {x.size(0), weight.value.size(1)}, "grouped_linear.grad_y");
  if (weight.trained()) kernel<GroupedMatmulGradWeight>(x)(grad_y, x, offsets, weight.grad, weight.adds());
  return kernel<GroupedMatmulGradInput>(x)(grad_y, weight.value, offsets, x.scalar_type());
}

GroupedPart dense_part(const Tensor& x, const Tensor& weight) { return {x, weight.unsqueeze(0), {0, x.size(0)}}; }

Tensor dense_linear(const Tensor& x, const Tensor& weight) { return grouped_linear(x, weight.unsqueeze(0), {0, x.size(0)}); }

Tensor dense_linear_backward(const Tensor& grad_y, const Tensor& x, const Weight& weight) {
  const Weight one_group{weight.value.unsqueeze(0), weight.trained() ? weight.grad.unsqueeze(0) : Tensor(), weight.stale};
  return grouped_linear_backward(grad_y, x, one_group, {0, x.size(0)});
}

}  // namespace temper
