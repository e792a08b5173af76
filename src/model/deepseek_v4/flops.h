#pragma once
// Model FLOPs of one token, forward and in training: the denominator of MFU.  One multiply-add counts 2.
// Left out: recomputation, embedding look-up, softmax, norms, element-wise work, top-k, Sinkhorn, the optimizer.

#include <string>
#include <vector>

#include "model/deepseek_v4/config.h"

namespace temper {

struct FlopsOptions {
  bool mtp = true;
  bool indexer_trained = true;      // with the KL loss; false: its forward pass alone counts
  bool dense_attention = false;     // CSA attends to all entries (the first stage of pre-training)
};

struct FlopsComponent {
  std::string name;
  double forward = 0, training = 0;   // FLOPs per token
};

struct FlopsPerToken {
  std::vector<FlopsComponent> components;   // in the order of the forward pass
  double forward = 0, training = 0;         // sums
};

/// Means over all tokens of documents of these lengths (causal, each for itself).  REQUIRES every length > 0.
/// Source  docs/deepseek_v4.md, FLOPs; tests/model/flops_test.cpp has the published tables
FlopsPerToken flops_per_token(const ModelConfig& config, const std::vector<int64_t>& document_lengths, const FlopsOptions& options = {});

/// Forward FLOPs of one token in the two sub-layers of block n (MTP blocks after the layers), hyper-connections included: what computing
/// them again costs.
struct SublayerFlops {
  double attention = 0, ffn = 0;
};
SublayerFlops sublayer_flops(const ModelConfig& config, const std::vector<int64_t>& document_lengths, int64_t n);

/// Mean numbers of entries a token of such documents attends to.
struct AttendedEntries {
  double window = 0;         // within sliding_window
  double csa_visible = 0;    // entries of ratio 4 the indexer scores
  double csa_selected = 0;   // of those, at most index_top_k
  double hca = 0;            // entries of ratio 128
};
AttendedEntries attended_entries(const ModelConfig& config, const std::vector<int64_t>& document_lengths);

}  // namespace temper
