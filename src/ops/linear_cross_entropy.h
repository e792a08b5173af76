#pragma once
// The head and the softmax cross-entropy in one, chunk by chunk: [T, V] logits never exist.
//   T tokens   D hidden_size   V vocab_size
// Logits, logprobs and their sums are fp32 (fp64 in fp64 runs).  Rows whose target is kIgnoredLabel cost nothing.
// Source: docs/deepseek_v4.md, "Losses".  Kernels: kernels/cross_entropy.h, kernels/grouped_matmul.h.

#include "tensor/weight.h"

namespace temper {

struct TokenLogprobs {
  Tensor logprobs;   // [T] log p(target), 0 where ignored
  Tensor lse;        // [T] log of the sum over the vocabulary, 0 where ignored
};

/// hidden [T, D] after the final norm, head [V, D], targets [T] int64 or kIgnoredLabel
TokenLogprobs linear_cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets);

/// grad_logprobs [T] (any objective) -> grad_hidden [T, D] as hidden; adds to head.grad.  Logits are computed again.
Tensor linear_cross_entropy_backward(const Tensor& grad_logprobs, const Tensor& hidden, const Weight& head, const Tensor& targets, const Tensor& lse);

/// Both at once, for objectives whose grad_logprobs do not depend on the logprobs: one head GEMM less.
struct LinearCrossEntropyGrad {
  TokenLogprobs forward;
  Tensor grad_hidden;   // [T, D]
};
LinearCrossEntropyGrad linear_cross_entropy_with_grad(const Tensor& grad_logprobs, const Tensor& hidden, const Weight& head, const Tensor& targets);

/// [T, D] -> [T, V] in the accumulate dtype; for probes and generation.
Tensor logits(const Tensor& hidden, const Tensor& head);

}  // namespace temper
