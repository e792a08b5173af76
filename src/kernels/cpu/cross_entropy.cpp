#include "kernels/cross_entropy.h"

#include <ATen/ops/empty.h>

#include "kernels/cpu/isa/moe.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kGrainElements = 8192;   // fewer are not worth a second thread
int64_t grain(int64_t V) { return std::max<int64_t>(kGrainElements / V, 1); }

std::pair<Tensor, Tensor> target_logprobs(const Tensor& logits_any, const Tensor& targets_any) {
  const Tensor logits = logits_any.contiguous(), targets = targets_any.contiguous();
  Tensor logprobs = at::empty(targets.sizes(), logits.options()), lse = at::empty(targets.sizes(), logits.options());
  CrossEntropyRows a{};
  a.element = element_of(logits);
  a.V = logits.size(1);
  a.logits = logits.const_data_ptr();
  a.targets = targets.const_data_ptr<int64_t>();
  a.logprobs = logprobs.data_ptr();
  a.lse = lse.data_ptr();
  parallel_pieces(logits.size(0), grain(a.V), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(target_logprobs_rows)(a, begin, end); });
  return {logprobs, lse};
}

Tensor target_logprobs_backward(const Tensor& grad_any, const Tensor& logits_any, const Tensor& targets_any, const Tensor& lse, at::ScalarType out_dtype) {
  const Tensor grad = grad_any.contiguous(), logits = logits_any.contiguous(), targets = targets_any.contiguous();
  Tensor out = at::empty(logits.sizes(), logits.options().dtype(out_dtype));
  if (logits.scalar_type() == at::kDouble && out_dtype != at::kDouble) return reference::target_logprobs_backward(grad, logits, targets, lse, out_dtype);
  CrossEntropyRows a{};
  a.element = element_of(logits);
  a.out_element = element_of(out);
  a.V = logits.size(1);
  a.logits = logits.const_data_ptr();
  a.targets = targets.const_data_ptr<int64_t>();
  a.lse = lse.data_ptr();
  a.grad_logprobs = grad.const_data_ptr();
  a.grad_logits = out.data_ptr();
  parallel_pieces(logits.size(0), grain(a.V), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(target_logprobs_backward_rows)(a, begin, end); });
  return out;
}

const CpuKernel<TargetLogprobs, &target_logprobs> forward_registered;
const CpuKernel<TargetLogprobsBackward, &target_logprobs_backward> backward_registered;

}  // namespace
}  // namespace temper
