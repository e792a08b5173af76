#include "ops/embedding.h"

#include "kernels/gather_rows.h"


namespace temper {

Tensor embedding(const Tensor& token_ids, const Tensor& weight) { return gather_rows(weight, token_ids); }

void embedding_backward(const Tensor& grad, const Tensor& token_ids, const Weight& weight) {
  expect_shape(grad, {token_ids.size(0), weight.value.size(1)}, "embedding.grad");
  if (weight.trained()) weight.grad_sum().index_add_(0, token_ids, grad.to(weight.grad.scalar_type()));   // on the CPU one position after another
}

}  // namespace temper
