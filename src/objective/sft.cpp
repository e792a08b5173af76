#include "objective/sft.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "base/error.h"
#include "ops/linear_cross_entropy.h"

namespace temper {
namespace {

double weighted_nll(const Tensor& logprobs, const Targets& targets) {
  const Tensor nll = targets.weights.defined() ? -logprobs * targets.weights : -logprobs;
  return nll.is_meta() ? 0 : nll.sum(at::kDouble).item<double>();
}

}  // namespace

Targets shifted_targets(const Batch& batch, int64_t vocab_size, int64_t shift) {
  const Tensor& given = batch.labels.defined() ? batch.labels : batch.token_ids;
  expect_shape(given, {batch.token_ids.size(0)}, "batch.labels");
  if (given.is_meta()) return {.ids = at::empty_like(given), .weights = {}, .n_targets = given.size(0), .weight_sum = static_cast<double>(given.size(0))};
  const Tensor labels = given.cpu().contiguous();
  const Tensor weights = batch.label_weights.defined() ? batch.label_weights.to(at::kFloat).cpu().contiguous() : Tensor();
  const int64_t* label = labels.const_data_ptr<int64_t>();
  const float* weight = weights.defined() ? weights.const_data_ptr<float>() : nullptr;

  const int64_t T = labels.size(0);
  const Tensor ids = at::full({T}, kIgnoredLabel, at::kLong), target_weights = weight ? at::zeros({T}, at::kFloat) : Tensor();
  int64_t* target = ids.mutable_data_ptr<int64_t>();
  float* target_weight = weight ? target_weights.mutable_data_ptr<float>() : nullptr;
  Targets targets;
  int64_t start = 0;
  for (const int64_t length : batch.document_lengths) {
    for (int64_t to = start + shift; to < start + length; ++to) {
      if (label[to] == kIgnoredLabel) continue;
      if (label[to] < 0 || label[to] >= vocab_size)
        throw Error({.kind = ErrorKind::kData, .what = fmt::format("label {} at position {} is outside the vocabulary of {}", label[to], to, vocab_size),
                     .where = "batch", .fix = fmt::format("use token ids, or {} for positions that are not trained", kIgnoredLabel)});
      target[to - shift] = label[to];
      if (weight) target_weight[to - shift] = weight[to];
      ++targets.n_targets;
      targets.weight_sum += weight ? weight[to] : 1;
    }
    start += length;
  }
  targets.ids = ids.to(given.device());
  if (weight) targets.weights = target_weights.to(given.device());
  return targets;
}

SftLoss sft_loss(const Tensor& hidden, const Weight& head, const Targets& targets, double scale) {
  if (targets.n_targets == 0) return {.loss_sum = 0, .logprobs = at::zeros({hidden.size(0)}, hidden.options().dtype(accumulate_dtype(hidden.scalar_type()))),
                                      .grad_hidden = at::zeros(hidden.sizes(), hidden.options())};
  const auto wide = hidden.options().dtype(accumulate_dtype(hidden.scalar_type()));
  const Tensor grad_logprobs = targets.weights.defined() ? targets.weights.to(wide) * -scale : at::full({hidden.size(0)}, -scale, wide);
  LinearCrossEntropyGrad pass = linear_cross_entropy_with_grad(grad_logprobs, hidden, head, targets.ids);
  return {.loss_sum = weighted_nll(pass.forward.logprobs, targets), .logprobs = pass.forward.logprobs, .grad_hidden = pass.grad_hidden};
}

SftLoss sft_loss_only(const Tensor& hidden, const Tensor& head, const Targets& targets) {
  const Tensor logprobs = linear_cross_entropy(hidden, head, targets.ids).logprobs;
  return {.loss_sum = weighted_nll(logprobs, targets), .logprobs = logprobs, .grad_hidden = {}};
}

}  // namespace temper
