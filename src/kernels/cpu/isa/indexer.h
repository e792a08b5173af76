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

inline constexpr int64_t kScoreQueries = 32;   // most queries of a block

/// Keys that may be among the best of the queries of a block, in ascending order.
struct IndexerCandidates {
  int64_t n_queries;       // at most kScoreQueries
  const int64_t* ends;     // [n_queries] query i sees keys below ends[i]
  const void* thresholds;  // [kScoreQueries] A: only higher scores are candidates; NaN = all
  int64_t capacity;        // of each list; the caller leaves room for n_keys more
  int64_t* counts;         // [n_queries]
  void* scores;            // [n_queries, capacity] A, NaN replaced by the lowest float
  int32_t* rows;           // [n_queries, capacity]
};

/// Enough for each of the following three.
TEMPER_ISA_FUNCTION(indexer_scratch, const IndexerArgs& args, int64_t& bytes)
/// scores [n_keys] A of one query against the keys [key_begin, key_begin + n_keys).
TEMPER_ISA_FUNCTION(indexer_scores, const IndexerArgs& args, int64_t query, int64_t key_begin, int64_t n_keys, void* scratch, void* scores)
/// Leaves the queries [first, first + n_queries) in the scratch, for any number of calls of indexer_candidates.
TEMPER_ISA_FUNCTION(indexer_pack_queries, const IndexerArgs& args, int64_t first, int64_t n_queries, void* scratch)
/// Appends candidates of the keys [key_begin, key_begin + n_keys).
TEMPER_ISA_FUNCTION(indexer_candidates, const IndexerArgs& args, const IndexerCandidates& candidates, int64_t key_begin, int64_t n_keys, void* scratch)

TEMPER_ISA_FUNCTION(indexer_loss_scratch, const IndexerLossArgs& args, int64_t& bytes)
/// Queries [begin, end); adds to grad_keys [rows, Di] A, whose first row is key `keys_first`.  The indexer's dim is a multiple
/// of TEMPER_ISA_BYTES / sizeof(A), as is attention's.
TEMPER_ISA_FUNCTION(indexer_loss_queries, const IndexerLossArgs& args, int64_t begin, int64_t end, void* scratch, void* grad_keys, int64_t keys_first)

}  // namespace temper
