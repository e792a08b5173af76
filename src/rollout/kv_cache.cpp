#include "rollout/kv_cache.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "tensor/from_list.h"

namespace temper {
namespace {

constexpr int64_t kMinFreeRows = 64;   // a buffer is moved at most once in so many tokens

[[noreturn]] void refuse_cache(std::string what) {
  throw Error({.kind = ErrorKind::kInternal, .what = std::move(what), .where = "KvCache::advance", .fix = "please report this"});
}

bool overlaps(int64_t ratio) { return ratio == KvCache::kSparseRatio; }
int64_t pending_rows(int64_t ratio) { return overlaps(ratio) ? 2 * ratio - 1 : ratio - 1; }

}  // namespace

KvCache::Buffer KvCache::make_buffer(int64_t living_rows) const {
  const int64_t rows = std::min(living_rows + std::max(config_.max_chunk, kMinFreeRows), config_.max_tokens);
  return {.rows = rows, .base = std::vector<int64_t>(static_cast<size_t>(config_.n_slots), 0)};
}

KvCache::KvCache(const ModelConfig& model, const KvCacheConfig& config)
    : config_(config), sliding_window_(model.sliding_window), lengths_(static_cast<size_t>(config.n_slots), 0) {
  window_ = make_buffer(sliding_window_ - 1);
  sparse_pending_ = make_buffer(pending_rows(kSparseRatio));
  heavy_pending_ = make_buffer(pending_rows(kHeavyRatio));
  const auto pool = [&](int64_t rows, int64_t width, at::ScalarType dtype) {
    return at::zeros({config_.n_slots * rows, width}, at::TensorOptions().dtype(dtype).device(config_.device));
  };
  const auto compressor = [&](int64_t ratio, int64_t dim, at::ScalarType dtype) {
    const at::ScalarType wide = accumulate_dtype(config_.dtype);
    const int64_t width = overlaps(ratio) ? 2 * dim : dim, rows = (overlaps(ratio) ? sparse_pending_ : heavy_pending_).rows;
    // At least one row a slot, so that ranges of a slot without entries are valid.
    return CompressorCache{.values = pool(rows, width, wide), .gates = pool(rows, width, wide),
                           .entries = pool(std::max<int64_t>(config_.max_tokens / ratio, 1), dim, dtype)};
  };
  for (int64_t layer = 0; layer < model.n_layers; ++layer) {
    const int64_t ratio = model.compress_ratio(layer);
    ratios_.push_back(ratio);
    LayerCache cache{.window = pool(window_.rows, model.head_dim, config_.dtype), .compressor = {}, .indexer = {}};
    if (ratio > 0) cache.compressor = compressor(ratio, model.head_dim, config_.dtype);
    if (ratio == kSparseRatio) cache.indexer = compressor(ratio, model.index_head_dim, config_.dtype);
    layers_.push_back(std::move(cache));
  }
}

std::vector<Tensor> KvCache::window_pools() const {
  std::vector<Tensor> pools;
  for (const LayerCache& layer : layers_) pools.push_back(layer.window);
  return pools;
}

std::vector<Tensor> KvCache::pending_pools(int64_t ratio) const {
  std::vector<Tensor> pools;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (ratios_[i] != ratio) continue;
    for (const CompressorCache* cache : {&layers_[i].compressor, &layers_[i].indexer})
      if (cache->values.defined()) pools.insert(pools.end(), {cache->values, cache->gates});
  }
  return pools;
}

void KvCache::slide(Buffer& buffer, int64_t slot, int64_t keep_from, int64_t end, const std::vector<Tensor>& pools) {
  int64_t& base = buffer.base[static_cast<size_t>(slot)];
  if (end - base <= buffer.rows) return;
  const int64_t from = std::max(keep_from, base), count = lengths_[static_cast<size_t>(slot)] - from;
  if (count > 0)
    for (const Tensor& pool : pools) {
      const Tensor living = pool.narrow(0, buffer.row(slot, from), count).clone();   // source and target may overlap
      pool.narrow(0, slot * buffer.rows, count).copy_(living);
    }
  base = from;
}

EntryPlan KvCache::plan_entries(int64_t ratio, const std::vector<SlotTokens>& chunks) {
  Buffer& pending = overlaps(ratio) ? sparse_pending_ : heavy_pending_;
  const std::vector<Tensor> pools = pending_pools(ratio);
  const int64_t capacity = std::max<int64_t>(config_.max_tokens / ratio, 1);
  EntryPlan plan;
  std::vector<int64_t> pending_rows, begin, end, first_token, previous, positions, rows;
  for (const SlotTokens& chunk : chunks) {
    const int64_t start = n_tokens(chunk.slot), stop = start + static_cast<int64_t>(chunk.token_ids.size());
    const int64_t block = start / ratio * ratio;
    slide(pending, chunk.slot, std::max<int64_t>(0, overlaps(ratio) ? block - ratio : block), stop, pools);
    for (int64_t t = start; t < stop; ++t) {
      const int64_t n = (t + 1) / ratio;   // a block's last token already sees its entry
      pending_rows.push_back(pending.row(chunk.slot, t));
      begin.push_back(chunk.slot * capacity);
      end.push_back(chunk.slot * capacity + n);
      plan.max_entries = std::max(plan.max_entries, n);
      if ((t + 1) % ratio != 0) continue;
      const int64_t first = t + 1 - ratio;
      first_token.push_back(pending.row(chunk.slot, first));
      previous.push_back(overlaps(ratio) && first > 0 ? pending.row(chunk.slot, first - ratio) : -1);
      positions.push_back(first);
      rows.push_back(chunk.slot * capacity + n - 1);
    }
  }
  plan.n_new = static_cast<int64_t>(rows.size());
  const auto tensor = [&](const std::vector<int64_t>& values) { return tensor_of(values).to(config_.device); };
  plan.pending_rows = tensor(pending_rows), plan.begin = tensor(begin), plan.end = tensor(end);
  plan.first_token = tensor(first_token), plan.previous = tensor(previous), plan.positions = tensor(positions), plan.rows = tensor(rows);
  return plan;
}

CachePlan KvCache::advance(const std::vector<SlotTokens>& chunks) {
  std::set<int64_t> slots;
  for (const SlotTokens& chunk : chunks) {
    const int64_t n = static_cast<int64_t>(chunk.token_ids.size());
    if (!slots.insert(chunk.slot).second) refuse_cache(fmt::format("slot {} occurs twice", chunk.slot));
    if (n == 0 || n > config_.max_chunk) refuse_cache(fmt::format("a chunk of {} tokens, allowed are 1 to {}", n, config_.max_chunk));
    if (n_tokens(chunk.slot) + n > config_.max_tokens) refuse_cache(fmt::format("slot {} would hold {} tokens, it has room for {}", chunk.slot, n_tokens(chunk.slot) + n, config_.max_tokens));
  }

  CachePlan plan;
  std::vector<int64_t> token_ids, positions, rows, begin, end, last;
  const std::vector<Tensor> pools = window_pools();
  for (const SlotTokens& chunk : chunks) {
    const int64_t start = n_tokens(chunk.slot), stop = start + static_cast<int64_t>(chunk.token_ids.size());
    slide(window_, chunk.slot, std::max<int64_t>(0, start - sliding_window_ + 1), stop, pools);
    for (int64_t t = start; t < stop; ++t) {
      const int64_t oldest = std::max<int64_t>(0, t - sliding_window_ + 1);
      positions.push_back(t);
      rows.push_back(window_.row(chunk.slot, t));
      begin.push_back(window_.row(chunk.slot, oldest));
      end.push_back(rows.back() + 1);
      plan.max_window = std::max(plan.max_window, end.back() - begin.back());
    }
    token_ids.insert(token_ids.end(), chunk.token_ids.begin(), chunk.token_ids.end());
    last.push_back(static_cast<int64_t>(token_ids.size()) - 1);
  }
  const auto tensor = [&](const std::vector<int64_t>& values) { return tensor_of(values).to(config_.device); };
  plan.token_ids = tensor(token_ids), plan.positions = tensor(positions), plan.last_tokens = tensor(last);
  plan.window_rows = tensor(rows), plan.window_begin = tensor(begin), plan.window_end = tensor(end);
  const auto has = [&](int64_t ratio) { return std::find(ratios_.begin(), ratios_.end(), ratio) != ratios_.end(); };
  if (has(kSparseRatio)) plan.sparse = plan_entries(kSparseRatio, chunks);
  if (has(kHeavyRatio)) plan.heavy = plan_entries(kHeavyRatio, chunks);
  for (const SlotTokens& chunk : chunks) lengths_[static_cast<size_t>(chunk.slot)] += static_cast<int64_t>(chunk.token_ids.size());
  return plan;
}

void KvCache::reset(int64_t slot) {
  lengths_.at(static_cast<size_t>(slot)) = 0;
  for (Buffer* buffer : {&window_, &sparse_pending_, &heavy_pending_}) buffer->base[static_cast<size_t>(slot)] = 0;
}

int64_t KvCache::bytes() const {
  int64_t sum = 0;
  for (const LayerCache& layer : layers_)
    for (const Tensor* pool : {&layer.window, &layer.compressor.values, &layer.compressor.gates, &layer.compressor.entries, &layer.indexer.values,
                               &layer.indexer.gates, &layer.indexer.entries})
      if (pool->defined()) sum += static_cast<int64_t>(pool->nbytes());
  return sum;
}

}  // namespace temper
