#include "ops/embedding.h"

#include <ATen/ops/index_select.h>

namespace temper {

Tensor embedding(const Tensor& token_ids, const Tensor& weight) { return at::index_select(weight, 0, token_ids); }

void embedding_backward(const Tensor& grad, const Tensor& token_ids, const Weight& weight) {
  expect_shape(grad, {token_ids.size(0), weight.value.size(1)}, "embedding.grad");
  if (weight.trained()) weight.grad.index_add_(0, token_ids, grad.to(weight.grad.scalar_type()));   // on the CPU one position after another
}

}  // namespace temper
