#pragma once

#include "kernels/cpu/isa/attention.h"

namespace temper {

/// Pointers of the kernels of kernels/indexer.h.  A = float, double for kDouble elements; kBFloat16 only on avx512bf16 and
/// with an even dim.
struct IndexerArgs {
  Element element;         // of q and keys
  int64_t n_heads, dim;
  const void *q, *keys;    // [T, Hi, Di], [Ne, Di]
  const void* weights;     // [T, Hi] A
};

/// Where indexer_loss writes; the trace is that of the attention whose teacher it is.
struct IndexerLossArgs {
  IndexerArgs indexer;
  AttentionArgs attention;   // with lse; queries see entries as in its forward pass
  void* loss;                // [T] A
  void* grad_q;              // [T, Hi, Di] A
  void* grad_weights;        // [T, Hi] A
};

inline constexpr int64_t kScoreQueries = 32;   // most queries of one call of indexer_scores

TEMPER_ISA_FUNCTION(indexer_scratch, const IndexerArgs& args, int64_t& bytes)
/// scores [n_queries, n_keys] A: queries [first, first + n_queries) against the keys [key_begin, key_begin + n_keys).
TEMPER_ISA_FUNCTION(indexer_scores, const IndexerArgs& args, int64_t first, int64_t n_queries, int64_t key_begin, int64_t n_keys, void* scratch, void* scores)

TEMPER_ISA_FUNCTION(indexer_loss_scratch, const IndexerLossArgs& args, int64_t& bytes)
/// Queries [begin, end); adds to grad_keys [rows, Di] A, whose first row is key `keys_first`.  The indexer's dim is a multiple
/// of TEMPER_ISA_BYTES / sizeof(A), as is attention's.
TEMPER_ISA_FUNCTION(indexer_loss_queries, const IndexerLossArgs& args, int64_t begin, int64_t end, void* scratch, void* grad_keys, int64_t keys_first)

}  // namespace temper
