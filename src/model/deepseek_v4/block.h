#pragma once
// One layer: hyper-connection site around attention, hyper-connection site around the mixture of experts.
// docs/deepseek_v4.md, "The model".   T tokens   M hc_mult   D hidden_size   E n_routed_experts

#include <string>
#include <vector>

#include "model/deepseek_v4/forward_options.h"
#include "model/deepseek_v4/site.h"
#include "ops/attention.h"
#include "ops/moe_ffn.h"

namespace temper {

struct BlockWeights {
  std::string name;   // "layers.3", "mtp.0"
  SiteWeights attn_site, ffn_site;
  AttentionWeights attn;
  AttentionConfig attn_config;
  MoeFfnWeights ffn;
  MoeFfnConfig ffn_config;
};

/// What all blocks share in one pass.
struct BlockContext {
  const ModelConfig& config;
  const AttentionContext& attention;
  const TokenDispatcher& dispatcher;
  const ForwardOptions& options;
  size_t block = 0;   // its place among all blocks, MTP last
};

struct BlockSaved {
  SiteSaved attn_site, ffn_site;
  AttentionSaved attn;
  MoeFfnSaved ffn;
};

/// Sums over the tokens of this pass, before any weight or mean.
struct BlockStats {
  Tensor balance_sum;    // [] fp64; undefined without the balance loss
  Tensor indexer_sum;    // [] fp64; undefined without the indexer's loss
  Tensor expert_counts;  // [E] int64
};

struct BlockForward {
  Tensor streams;   // [T, M, D]
  BlockStats stats;
  BlockSaved saved;
};

/// streams [T, M, D], token_ids [T] (hash layers select by them)
BlockForward block_forward(const Tensor& streams, const Tensor& token_ids, const BlockWeights& weights, const BlockContext& context);
/// grad_streams [T, M, D] of the output -> of the input; adds to the weights' grads and injects the auxiliary losses.
/// Uses up `saved`.
Tensor block_backward(const Tensor& grad_streams, const Tensor& token_ids, BlockSaved& saved, const BlockWeights& weights, const BlockContext& context);

}  // namespace temper
