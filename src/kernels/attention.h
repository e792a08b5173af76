#pragma once
// Attention of each query over its own list of keys, with K = V shared by all heads and a sink logit per head.
// Versions: reference/attention.cpp.

#include <utility>

#include "kernels/registry.h"

namespace temper {

/// The keys of each query: rows [window_begin, window_end) of `window` and some rows of `entries`, namely
///   all of [entry_begin, entry_end)                      if `selected` is undefined or that range has at most K rows
///   the rows selected[t], -1 = none                      otherwise
/// Order does not matter, so a ring buffer is a valid window.  Undefined `entries` (or max_entries 0) = window only.
struct AttentionKeys {
  Tensor window;                     // [Nw, Dh]
  Tensor window_begin, window_end;   // [T] int64
  int64_t max_window = 0;            // longest window range
  Tensor entries;                    // [Ne, Dh]
  Tensor entry_begin, entry_end;     // [T] int64
  int64_t max_entries = 0;           // longest entry range
  Tensor selected;                   // [T, K] int32, distinct rows of `entries`
};

struct AttentionOutput {
  Tensor o;     // as q
  Tensor lse;   // [T, H] accumulate dtype: log of the sum over keys and sink
};

/// o_h = sum_j exp(a_j) k_j / (sum_j exp(a_j) + exp(sink_h)),  a_j = scale * q_h . k_j.   q [T, H, Dh]; sink [H].
struct SinkAttention {
  static constexpr auto kName = "sink_attention";
  using Function = AttentionOutput(const Tensor& q, const AttentionKeys& keys, const Tensor& sink, double scale);
};

struct AttentionGrads {
  Tensor q;         // as q
  Tensor window;    // as keys.window, accumulate dtype
  Tensor entries;   // as keys.entries, accumulate dtype; undefined without entries
};

/// What the forward pass left, for the backward pass and for the indexer's teacher.
struct AttentionTrace {
  Tensor q, lse;
  AttentionKeys keys;
  double scale;
};

/// delta [T, H] = sum over Dh of grad_o * o (accumulate dtype).  Adds to grad_sink [H] unless undefined.
struct SinkAttentionBackward {
  static constexpr auto kName = "sink_attention_backward";
  using Function = AttentionGrads(const Tensor& grad_o, const Tensor& delta, const AttentionTrace& trace, const Tensor& sink, const Tensor& grad_sink);
};

namespace reference {
SinkAttention::Function sink_attention;
SinkAttentionBackward::Function sink_attention_backward;

/// The keys of the queries [first, first + count) of one of the two sources.
struct GatheredKeys {
  Tensor rows;    // [count, n] int64, 0 where invalid
  Tensor valid;   // [count, n] bool
};
GatheredKeys window_rows(const AttentionKeys& keys, int64_t first, int64_t count);
GatheredKeys entry_rows(const AttentionKeys& keys, int64_t first, int64_t count);
inline constexpr int64_t kQueryBlock = 64;   // queries at a time: memory stays linear in T
}  // namespace reference

}  // namespace temper
