#pragma once

#include "kernels/cpu/isa/function.h"

namespace temper {

/// Pointers of sink_attention (kernels/attention.h).  A = float, double for kDouble elements.  dim is a multiple of
/// TEMPER_ISA_BYTES / sizeof(A).  kBFloat16 only where pairs of bf16 are multiplied (avx512bf16).
struct AttentionArgs {
  Element element;   // of q, window, entries, o, grad_o, grad_q
  int64_t n_queries, n_heads, dim;
  double scale;
  const void *q, *window, *entries;
  const int64_t *window_begin, *window_end, *entry_begin, *entry_end;   // entry_*: null without entries
  const int32_t* selected;   // [T, n_selected] or null
  int64_t n_selected;
  int64_t max_keys;          // most keys of one query
  const void* sink;          // [H] A
  void *o, *lse;             // lse [T, H] A
  const void *grad_o, *delta;   // delta [T, H] A      backward only, as the following
  void* grad_q;
};

/// Where a thread adds gradients of keys: row i of `window` goes to window + (i - window_first) * dim.
struct AttentionKeyGrads {
  void* window;       // A
  int64_t window_first;
  void* entries;      // A
  int64_t entries_first;
};

TEMPER_ISA_FUNCTION(attention_scratch, const AttentionArgs& args, int64_t& bytes)
/// Queries [begin, end).
TEMPER_ISA_FUNCTION(attention_forward, const AttentionArgs& args, int64_t begin, int64_t end, void* scratch)
TEMPER_ISA_FUNCTION(attention_backward, const AttentionArgs& args, int64_t begin, int64_t end, void* scratch, const AttentionKeyGrads& grads)

}  // namespace temper
