#pragma once
// The lightning indexer: scores of compressed entries, selection of the best K, and its KL loss.
// Versions: reference/indexer.cpp.

#include "kernels/attention.h"

namespace temper {

/// What the scores are made of.  score(t, s) = sum_h weights[t, h] * relu(q[t, h] . keys[s]) for the entries s in
/// [entry_begin[t], entry_end[t]).
struct IndexerInputs {
  Tensor q;         // [T, Hi, Di]
  Tensor keys;      // [Ne, Di]
  Tensor weights;   // [T, Hi] accumulate dtype, factors included
  Tensor entry_begin, entry_end;   // [T] int64
  int64_t max_entries = 0;
};

/// The entries of the K highest scores of each query, in ascending order, -1 = none; equal scores (+0 = -0): the lower
/// entry wins; NaN counts as lowest.  All visible ones where at most K are.  -> [T, K] int32
struct IndexerSelect {
  static constexpr auto kName = "indexer_select";
  using Function = Tensor(const IndexerInputs& inputs, int64_t top_k);
};

struct IndexerLossOutput {
  Tensor loss;      // scalar, accumulate dtype: sum over queries of KL(teacher || softmax of scores)
  Tensor grad_q;    // as q
  Tensor grad_keys, grad_weights;   // accumulate dtype
};

/// The loss and its gradients (for a factor of 1).  Per query, over the entries it attends to (`trace.keys`):
///   teacher(s) = sum_h exp(a_hs - lse_h), divided by its sum over s: the attention that was paid, a constant here
///   d loss / d score(s) = softmax(score)(s) - teacher(s)
/// Queries without entries, and those that pay their entries no attention at all, count nothing.
struct IndexerLoss {
  static constexpr auto kName = "indexer_loss";
  using Function = IndexerLossOutput(const IndexerInputs& inputs, const AttentionTrace& trace);
};

namespace reference {
IndexerSelect::Function indexer_select;
IndexerLoss::Function indexer_loss;
/// [T, max_entries] accumulate dtype, column i = entry entry_begin[t] + i, -inf where invisible.  For tests and probes only.
Tensor indexer_scores(const IndexerInputs& inputs);
}  // namespace reference

}  // namespace temper
