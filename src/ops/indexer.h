#pragma once
// The lightning indexer of compressed sparse attention: which entries a query may attend to, and how it is trained.
// docs/deepseek_v4.md, "Indexer".

#include "kernels/indexer.h"
#include "ops/compressor.h"

namespace temper {

/// Under their released names.  Hi = index_n_heads, Di = index_head_dim.
struct IndexerWeights {
  Weight wq_b;           // [Hi*Di, q_lora_rank]
  Weight weights_proj;   // [Hi, D]
  CompressorWeights compressor;   // entries of width Di
};

struct IndexerConfig {
  int64_t n_heads = 0, head_dim = 0, top_k = 0;
  bool fp4 = false;   // quantise queries and keys as deployment does (round_fp4_path)
};

/// Normalised Hadamard transform of the last dim, then rounding to FP4 E2M1 in blocks of 32 (kernels/quant.h).
/// The transform cancels in dot products and spreads outliers.  The gradient passes the rounding unchanged:
/// hadamard(gradient).  Error{kConfig} unless the last dim is a power of two and a multiple of 32.
Tensor round_fp4_path(const Tensor& x);
Tensor hadamard(const Tensor& x);

/// One row for each token.  q [T, Hi, Di] as u, weights [T, Hi] accumulate dtype with the factor (Hi Di)^-1/2.
struct IndexerQueries {
  Tensor q, weights;
};
IndexerQueries indexer_queries(const Tensor& u, const Tensor& qr, const IndexerWeights& weights, const IndexerConfig& config, const Rotation& rotation);
/// Keys as they are scored: `entries` of the indexer's compressor, through FP4 where configured.
Tensor indexer_keys(const Tensor& entries, const IndexerConfig& config);

struct IndexerSaved {
  IndexerInputs inputs;
  CompressorSaved compressor;
};
struct IndexerPlan {
  CompressorPlan compressor;
  Rotation rotation;   // at every token
  Tensor entry_begin, entry_end;
  int64_t max_entries = 0;
};
/// u [T, D] attention's input, qr [T, q_lora_rank] its normalised low-rank query.
IndexerSaved indexer(const Tensor& u, const Tensor& qr, const IndexerWeights& weights, const IndexerConfig& config, const IndexerPlan& plan, double eps);

/// Adds scale * gradients of the loss to the indexer's weights.  Nothing reaches u and qr: the indexer learns from its own
/// loss only, and the rest of the model never sees that loss.
void indexer_backward(const IndexerLossOutput& loss, double scale, const Tensor& u, const Tensor& qr, const IndexerWeights& weights,
                      const IndexerConfig& config, const IndexerPlan& plan, const IndexerSaved& saved);

}  // namespace temper
