#include "kernels/cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/logsumexp.h>

namespace temper::reference {

std::pair<Tensor, Tensor> target_logprobs(const Tensor& logits, const Tensor& targets) {
  const Tensor lse = at::logsumexp(logits, -1);                                                    // [n]
  return {logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - lse, lse};
}

Tensor target_logprobs_backward(const Tensor& grad_logprobs, const Tensor& logits, const Tensor& targets, const Tensor& lse, at::ScalarType out_dtype) {
  const Tensor g = grad_logprobs.unsqueeze(-1);                                                    // [n, 1]
  const Tensor grad = -g * at::exp(logits - lse.unsqueeze(-1));
  return grad.scatter_add(-1, targets.unsqueeze(-1), g).to(out_dtype);
}

namespace {
const ReferenceKernel<TargetLogprobs> forward_registered{&target_logprobs};
const ReferenceKernel<TargetLogprobsBackward> backward_registered{&target_logprobs_backward};
}  // namespace

}  // namespace temper::reference
