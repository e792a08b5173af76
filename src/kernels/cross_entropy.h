#pragma once
// The softmax part of the language-model loss, on a chunk of rows.  Versions: reference/cross_entropy.cpp, cpu/cross_entropy.cpp.

#include <utility>

#include "kernels/registry.h"

namespace temper {

/// logits [n, V] accumulate dtype, targets [n] int64 in [0, V) -> (logprobs, lse), both [n] accumulate dtype.
struct TargetLogprobs {
  static constexpr auto kName = "target_logprobs";
  using Function = std::pair<Tensor, Tensor>(const Tensor& logits, const Tensor& targets);
};

/// Gradient of the logits: grad_logprobs_n * (1[v = target_n] - exp(logits_nv - lse_n)), in `out_dtype`.  May overwrite logits.
struct TargetLogprobsBackward {
  static constexpr auto kName = "target_logprobs_backward";
  using Function = Tensor(const Tensor& grad_logprobs, const Tensor& logits, const Tensor& targets, const Tensor& lse, at::ScalarType out_dtype);
};

namespace reference {
TargetLogprobs::Function target_logprobs;
TargetLogprobsBackward::Function target_logprobs_backward;
}  // namespace reference

}  // namespace temper
