#pragma once
// What the data layer hands to the model and the objective: plain data, shared by layers that do not know each other.

#include <vector>

#include "tensor/tensor.h"

namespace temper {

/// Label of a position that is not trained.  Labels are aligned with the ids and shifted inside the objective:
/// position t predicts labels[t + 1] of the same document.
inline constexpr int64_t kIgnoredLabel = -100;

/// Documents one after another, without padding; no attention, compression or target crosses a document border.
///   token_ids      [T] int64
///   labels         [T] int64, kIgnoredLabel = not trained; undefined = the ids are the labels
///   label_weights  [T] fp32, multiplies the loss of the target at this position; undefined = 1
struct Batch {
  Tensor token_ids, labels, label_weights;
  std::vector<int64_t> document_lengths;   // sums to T, every length > 0
};

}  // namespace temper
