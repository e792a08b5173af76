#pragma once
// Token embedding.  Source: docs/deepseek_v4.md, "The model".

#include "tensor/weight.h"

namespace temper {

/// token_ids [T] int64 in [0, V) (not checked here), weight [V, D] -> [T, D]
Tensor embedding(const Tensor& token_ids, const Tensor& weight);
/// weight.grad[id] += grad of every position with this id, in position order (deterministic).  grad [T, D]
void embedding_backward(const Tensor& grad, const Tensor& token_ids, const Weight& weight);

}  // namespace temper
