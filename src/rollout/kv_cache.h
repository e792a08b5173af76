#pragma once
// What generation keeps of the past, for all sequences of a batch.
//
// A slot belongs to one sequence.  Every kind of row has one pool a layer, in which slot i owns a fixed range of rows, so one
// kernel call serves all sequences.  Of a layer are kept
//   window          the last sliding_window - 1 keys and the new ones
//   pending         compressor inputs (values and gates) of the open block, for ratio 4 also of the block before
//   entries         all compressed entries, for ratio 4 also their indexer keys (and the indexer's own pending rows)
// Window and pending rows lie in a sliding buffer: positions follow each other without a wrap, and when the buffer is full
// its living rows move to the front.  So the keys of any chunk of tokens are one range of rows, and memory does not grow
// with the length, except for the entries (1/4 and 1/128 of the tokens).
//   S slots   C buffer rows of a slot   N entry rows of a slot   Dh head_dim
// Source: docs/deepseek_v4.md 2.6-2.8.

#include <array>
#include <vector>

#include "model/deepseek_v4/config.h"
#include "tensor/tensor.h"

namespace temper {

struct KvCacheConfig {
  int64_t n_slots = 1;
  int64_t max_tokens = 4096;   // longest sequence: prompt and answer
  int64_t max_chunk = 512;     // most tokens of one sequence in one call
  at::ScalarType dtype = at::kFloat;
  c10::DeviceType device = c10::DeviceType::CPU;
};

/// Pooled rows a compressor reads and writes; for a layer without one all tensors are undefined.
struct CompressorCache {
  Tensor values, gates;   // [S*C, coff*Dh] accumulate dtype
  Tensor entries;         // [S*N, Dh] of the attention, or of the indexer
};

struct LayerCache {
  Tensor window;                       // [S*C, Dh]
  CompressorCache compressor, indexer;
};

/// The new tokens of one sequence.
struct SlotTokens {
  int64_t slot;
  std::vector<int64_t> token_ids;   // not empty
};

/// Rows of one compression ratio that a call touches; int64 tensors.
struct EntryPlan {
  Tensor pending_rows;                 // [T] where the compressor inputs of each token go
  Tensor begin, end;                   // [T] entries each token sees
  int64_t max_entries = 0;             // longest of these ranges
  int64_t n_new = 0;                   // blocks that the call completes
  Tensor first_token, previous;        // [n_new] pending rows of the block and of the one before it, -1 = none
  Tensor positions, rows;              // [n_new] position of the block's first token, entry row it gets
};

/// Where everything of one call lies, the same for all layers.  T = tokens of the call, in the order given.
struct CachePlan {
  Tensor token_ids, positions;         // [T]
  Tensor window_rows;                  // [T] where the keys of each token go
  Tensor window_begin, window_end;     // [T] rows each token sees
  int64_t max_window = 0;
  EntryPlan sparse, heavy;             // ratio 4, ratio 128
  Tensor last_tokens;                  // [sequences] row of each sequence's last token
};

/// Threads: one at a time.
class KvCache {
 public:
  static constexpr int64_t kSparseRatio = 4, kHeavyRatio = 128;

  KvCache(const ModelConfig& model, const KvCacheConfig& config);

  /// Takes the tokens in (their rows are written by the forward pass that follows) and says where they lie.
  /// Errors  kInternal: a slot twice, an empty chunk, more than max_chunk tokens, a sequence beyond max_tokens
  CachePlan advance(const std::vector<SlotTokens>& chunks);
  /// Empties a slot for the next sequence.
  void reset(int64_t slot);

  int64_t n_tokens(int64_t slot) const { return lengths_.at(static_cast<size_t>(slot)); }
  LayerCache& layer(int64_t index) { return layers_.at(static_cast<size_t>(index)); }
  const KvCacheConfig& config() const { return config_; }
  int64_t bytes() const;

 private:
  /// A sliding buffer: row of position p in slot i = i * rows + p - base[i].
  struct Buffer {
    int64_t rows = 0;
    std::vector<int64_t> base;
    int64_t row(int64_t slot, int64_t position) const { return slot * rows + position - base[static_cast<size_t>(slot)]; }
  };
  Buffer make_buffer(int64_t living_rows) const;
  /// Makes room for positions up to `end`; positions before `keep_from` may go.
  void slide(Buffer& buffer, int64_t slot, int64_t keep_from, int64_t end, const std::vector<Tensor>& pools);
  std::vector<Tensor> window_pools() const;
  std::vector<Tensor> pending_pools(int64_t ratio) const;
  EntryPlan plan_entries(int64_t ratio, const std::vector<SlotTokens>& chunks);

  KvCacheConfig config_;
  int64_t sliding_window_;
  std::vector<int64_t> ratios_;    // of each layer
  std::vector<LayerCache> layers_;
  std::vector<int64_t> lengths_;   // of each slot
  Buffer window_, sparse_pending_, heavy_pending_;
};

}  // namespace temper
