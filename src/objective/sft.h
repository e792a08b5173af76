#pragma once
// Supervised next-token loss of one micro-batch.
//   T tokens   D hidden_size   V vocab_size
// Labels are aligned with the ids and shifted here, inside each document: position t is scored against the label at
// t + shift of the same document, so a document's first label is never a target.  docs/deepseek_v4.md, "Losses".

#include "tensor/batch.h"
#include "tensor/weight.h"

namespace temper {

/// What each position predicts.
struct Targets {
  Tensor ids;           // [T] int64, kIgnoredLabel = nothing
  Tensor weights;       // [T] fp32, 0 where ignored; undefined = 1
  int64_t n_targets = 0;
  double weight_sum = 0;   // n_targets without label weights
};

/// shift 1: the next token; shift 2 + i: MTP block i.
/// Errors  kData for labels outside [0, vocab_size) other than kIgnoredLabel.
Targets shifted_targets(const Batch& batch, int64_t vocab_size, int64_t shift = 1);

struct SftLoss {
  double loss_sum = 0;    // sum of weight * -log p(target): add up over micro-batches and ranks, divide by the global count
  Tensor logprobs;        // [T] 0 where ignored
  Tensor grad_hidden;     // [T, D]
};

/// The gradient is that of scale * loss_sum; `scale` is 1 / global count of trained tokens (times a loss weight).
/// No target at all: loss 0, gradients 0.  Adds to head.grad.
SftLoss sft_loss(const Tensor& hidden, const Weight& head, const Targets& targets, double scale);
/// Without gradients, for evaluation: grad_hidden is undefined.
SftLoss sft_loss_only(const Tensor& hidden, const Tensor& head, const Targets& targets);

}  // namespace temper
