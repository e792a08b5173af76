#pragma once
// The whole DeepSeek-V4 model: token ids -> hidden states, and back to every weight's gradient.  No autograd tape: the
// forward pass keeps what the backward pass names (docs/decisions/0002-explicit-backward.md).
//   T tokens   D hidden_size   M hc_mult   V vocab_size   E n_routed_experts
// Source: docs/deepseek_v4.md.  Probe points: docs/numerics.md.

#include <memory>
#include <vector>

#include "model/deepseek_v4/bind.h"
#include "tensor/batch.h"

namespace temper {

/// The memory of one forward pass; a step uses up each at most once.
struct ForwardSaved;

struct ForwardResult {
  Tensor hidden;                    // [T, D] after the final norm: input of the head
  std::vector<Tensor> mtp_hidden;   // one for each MTP block: [T, D]; block i at position t predicts the id at t + 2 + i
  /// Sums over tokens (queries) and layers, without weight and mean: [] fp64, undefined where nothing was summed.
  /// balance_sum / n_balance_tokens is 1 for perfect balance; n_indexer_queries counts those that see an entry.
  Tensor balance_sum, indexer_sum;
  int64_t n_balance_tokens = 0, n_indexer_queries = 0;   // summed over layers
  std::vector<Tensor> expert_counts;   // one for each block that ran, MTP last: [E] int64
  int64_t n_tokens = 0;
  std::shared_ptr<ForwardSaved> saved;   // null unless training
};

/// Threads  one forward or backward pass at a time for each Model; the weights must outlive it.
class Model {
 public:
  explicit Model(const ModelWeights& weights, std::shared_ptr<const TokenDispatcher> dispatcher = nullptr);

  const ModelConfig& config() const { return weights_.config(); }
  const ModelWeights& weights() const { return weights_; }

  /// Errors  kData for ids outside the vocabulary and lengths that do not add up; kCheckpoint for an unusable tid2eid.
  ForwardResult forward(const Batch& batch, const ForwardOptions& options) const;

  /// Adds to every gradient of the weights; injects the auxiliary losses of the options given to `forward`.
  /// grad_hidden [T, D]; grad_mtp_hidden: none, or one for each MTP block ([T, D], undefined = zero).  Frees result.saved.
  void backward(ForwardResult& result, const Tensor& grad_hidden, const std::vector<Tensor>& grad_mtp_hidden = {}) const;

  // ---- The pieces, for decoding token by token (with block.h, site.h and ops/attention.h) ----

  /// token_ids [T] -> M equal streams [T, M, D]
  Tensor embed(const Tensor& token_ids) const;
  BlockWeights block(int64_t n) const { return bind_block(weights_, n); }
  const TokenDispatcher& dispatcher() const { return *dispatcher_; }
  /// streams [T, M, D] -> hidden [T, D] after hc_head and the final norm
  Tensor final_hidden(const Tensor& streams) const;
  /// hidden [T, D] -> [T, V] fp32 (fp64 in fp64 runs)
  Tensor logits(const Tensor& hidden) const;
  const Weight& head() const { return weights_.weight("head"); }
  /// Rotary tables and visibility of one layout, for `attention`.
  AttentionContext attention_context(const std::vector<int64_t>& document_lengths, c10::Device device) const;

  RopeConfig main_rope() const;
  RopeConfig compress_rope() const;

 private:
  void check(const Batch& batch) const;
  void check_routing_tables() const;

  const ModelWeights& weights_;
  std::shared_ptr<const TokenDispatcher> dispatcher_;
  mutable bool routing_checked_ = false;
};

}  // namespace temper
