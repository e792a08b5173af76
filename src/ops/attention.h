#pragma once
// The attention sub-layer of DeepSeek-V4: window, compressed sparse (CSA, ratio 4) and heavily compressed (HCA, ratio 128)
// attention.  docs/deepseek_v4.md, "Attention".
//   T tokens   D hidden_size   H n_heads   Dh head_dim   R rope_head_dim   W sliding_window   N compressed entries

#include <map>
#include <optional>
#include <string>

#include "ops/indexer.h"

namespace temper {

struct AttentionConfig {
  int64_t hidden_size = 0, n_heads = 0, head_dim = 0, rope_head_dim = 0, q_lora_rank = 0, o_groups = 1, o_lora_rank = 0;
  int64_t sliding_window = 0;
  int64_t compress_ratio = 0;   // 0 window only, 4 CSA, 128 HCA
  int64_t index_n_heads = 0, index_head_dim = 0, index_top_k = 0;   // ratio 4
  double rms_norm_eps = 1e-6;
};

/// Under their released names, as [out, in].
struct AttentionWeights {
  Weight wq_a, q_norm, wq_b;   // [q_lora_rank, D], [q_lora_rank], [H*Dh, q_lora_rank]
  Weight wkv, kv_norm;         // [Dh, D], [Dh]
  Weight attn_sink;            // [H]
  Weight wo_a, wo_b;           // [o_groups*o_lora_rank, H*Dh/o_groups], [D, o_groups*o_lora_rank]
  std::optional<CompressorWeights> compressor;   // ratio 4 and 128
  std::optional<IndexerWeights> indexer;         // ratio 4
};

/// What all layers share about one batch: made once, before the first layer.
///   main     angles of ratio-0 layers (rope_theta);  compress  of ratio 4 and 128 (compress_rope_theta, YaRN)
struct AttentionContext {
  DocumentLayout layout;
  Rotation main, compress;
  Tensor window_begin, window_end;   // [T] int64
  int64_t max_window = 0;
  struct Entries {
    EntryTable table;
    CompressorPlan plan;
  };
  std::map<int64_t, Entries> entries;   // by ratio

  struct Options {
    std::vector<int64_t> document_lengths;
    std::vector<int64_t> ratios;   // those of the model, in any order, repeated or not
    int64_t sliding_window = 0;
    RopeConfig main, compress;
    at::ScalarType dtype = at::kFloat;   // of the activations
    c10::Device device = c10::DeviceType::CPU;
  };
  static AttentionContext make(const Options& options);
};

struct AttentionOptions {
  std::string probe_prefix;     // "layers.3.attn": names of probes; empty = none
  bool train_indexer = false;   // compute the indexer's loss; its weights are frozen otherwise
  bool fp4_indexer = false;     // quantise the indexer's queries and keys (quantisation-aware training)
  bool recompute = false;       // save only the input (and the indexer's choice), run the forward pass again in the backward pass
  Tensor selected = {};         // the indexer's choice of an earlier pass over the same input; undefined = score and choose
};

/// The forward pass's memory.  Everything but `u` and keys.selected is empty under `recompute`.
struct AttentionSaved {
  Tensor u;                          // [T, D]
  Tensor qa, qa_rstd, qr;            // low-rank query before its norm, [T, q_lora_rank]; [T]; after it
  Tensor q, q_rstd;                  // [T, H, Dh] normalised and rotated; [T, H]
  Tensor kv_raw, kv_rstd;            // [T, Dh] before its norm; [T]
  AttentionKeys keys;                // window keys, entries, selection
  Tensor o, lse;                     // [T, H, Dh] after the inverse rotation; [T, H]
  Tensor low_rank;                   // [T, o_groups*o_lora_rank]
  std::optional<CompressorSaved> compressor;
  std::optional<IndexerSaved> indexer;
  std::optional<IndexerLossOutput> indexer_loss;   // loss: sum over queries that see an entry (table.n_seeing_tokens)
};

struct AttentionForward {
  Tensor out;   // [T, D]
  AttentionSaved saved;
};

/// u [T, D] (after attn_norm) in the compute dtype.
AttentionForward attention(const Tensor& u, const AttentionWeights& weights, const AttentionConfig& config, const AttentionContext& context,
                           const AttentionOptions& options);

/// grad_u [T, D] as u; adds to the weights' gradients.
/// indexer_scale multiplies the gradient of the summed indexer loss: coefficient / number of queries that see an entry,
/// over the whole optimizer step.
Tensor attention_backward(const Tensor& grad_out, const AttentionWeights& weights, const AttentionConfig& config, const AttentionContext& context,
                          const AttentionOptions& options, const AttentionSaved& saved, double indexer_scale = 0);

// ---- The pieces, for decoding with caches (any number of new tokens, rotations at their positions) ----

struct AttentionQueries {
  Tensor qa, qa_rstd, qr, q, q_rstd;   // as in AttentionSaved
};
/// qa [T, q_lora_rank] = u wq_a^T
AttentionQueries attention_queries(const Tensor& qa, const AttentionWeights& weights, const AttentionConfig& config, const Rotation& rotation);

struct AttentionWindowKeys {
  Tensor raw, rstd, kv;   // kv [T, Dh]: normalised and rotated
};
/// raw [T, Dh] = u wkv^T
AttentionWindowKeys attention_window_keys(const Tensor& raw, const AttentionWeights& weights, const AttentionConfig& config, const Rotation& rotation);

/// Attention over `keys`, then the inverse rotation.  o [T, H, Dh], lse [T, H].
AttentionOutput attend(const Tensor& q, const AttentionKeys& keys, const Weight& attn_sink, const Rotation& rotation);

struct OutputProjection {
  Tensor out, low_rank;
};
/// o [T, H, Dh] -> group G of heads through rows G of wo_a, all groups through wo_b.
OutputProjection attention_output(const Tensor& o, const AttentionWeights& weights, const AttentionConfig& config);
Tensor attention_output_backward(const Tensor& grad_out, const Tensor& o, const Tensor& low_rank, const AttentionWeights& weights,
                                 const AttentionConfig& config);

/// Error{kConfig} for sizes that cannot be (odd R, R above head_dim, groups that do not divide the heads, other ratios).
void check_attention_config(const AttentionConfig& config);
/// Error{kInternal} if a weight is missing or has a wrong shape.
void check_attention_weights(const AttentionWeights& weights, const AttentionConfig& config);

}  // namespace temper
