#include "kernels/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

namespace temper {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

reference::GatheredKeys range_rows(const Tensor& begin, const Tensor& end, int64_t longest) {
  const Tensor rows = begin.unsqueeze(-1) + at::arange(longest, begin.options());              // [b, n]
  const Tensor valid = rows < end.unsqueeze(-1);
  return {rows.masked_fill(~valid, 0), valid};
}

bool has_entries(const AttentionKeys& keys) { return keys.entries.defined() && keys.max_entries > 0; }

// Keys, logits and where they came from, of one block of queries.
struct Block {
  reference::GatheredKeys window, entries;
  Tensor q, keys, logits;   // [b, H, Dh], [b, n, Dh], [b, H, n]; invalid logits are -inf
};

Block make_block(const Tensor& q, const AttentionKeys& keys, double scale, int64_t first, int64_t count) {
  Block block{.window = reference::window_rows(keys, first, count), .entries = {}, .q = to_accumulate(q.narrow(0, first, count)), .keys = {}, .logits = {}};
  const auto gather = [&](const Tensor& source, const Tensor& rows) {
    return to_accumulate(source).index_select(0, rows.flatten()).view({count, rows.size(1), source.size(1)});
  };
  block.keys = gather(keys.window, block.window.rows);
  Tensor valid = block.window.valid;
  if (has_entries(keys)) {
    block.entries = reference::entry_rows(keys, first, count);
    block.keys = at::cat({block.keys, gather(keys.entries, block.entries.rows)}, 1);
    valid = at::cat({valid, block.entries.valid}, 1);
  }
  block.logits = (at::bmm(block.q, block.keys.transpose(1, 2)) * scale).masked_fill(~valid.unsqueeze(1), -kInfinity);
  return block;
}

}  // namespace

reference::GatheredKeys reference::window_rows(const AttentionKeys& keys, int64_t first, int64_t count) {
  return range_rows(keys.window_begin.narrow(0, first, count), keys.window_end.narrow(0, first, count), keys.max_window);
}

reference::GatheredKeys reference::entry_rows(const AttentionKeys& keys, int64_t first, int64_t count) {
  const Tensor begin = keys.entry_begin.narrow(0, first, count), end = keys.entry_end.narrow(0, first, count);
  if (!keys.selected.defined()) return range_rows(begin, end, keys.max_entries);
  const int64_t K = keys.selected.size(1);
  const GatheredKeys all = range_rows(begin, end, K);                                          // right where at most K are visible
  const Tensor chosen = keys.selected.narrow(0, first, count).to(at::kLong);
  const Tensor sparse = (end - begin > K).unsqueeze(-1);
  return {at::where(sparse, chosen.clamp_min(0), all.rows), at::where(sparse, chosen >= 0, all.valid)};
}

AttentionOutput reference::sink_attention(const Tensor& q, const AttentionKeys& keys, const Tensor& sink, double scale) {
  const int64_t T = q.size(0), H = q.size(1);
  std::vector<Tensor> outputs, sums;
  for (int64_t first = 0; first < T; first += kQueryBlock) {
    const int64_t count = std::min(kQueryBlock, T - first);
    const Block block = make_block(q, keys, scale, first, count);
    const Tensor with_sink = at::cat({block.logits, to_accumulate(sink).to(block.q.scalar_type()).view({1, H, 1}).expand({count, H, 1})}, -1);
    const Tensor lse = at::logsumexp(with_sink, {-1}, /*keepdim=*/true);                       // [b, H, 1]
    outputs.push_back(at::bmm(at::exp(block.logits - lse), block.keys).to(q.scalar_type()));
    sums.push_back(lse.squeeze(-1));
  }
  return {at::cat(outputs), at::cat(sums)};
}

AttentionGrads reference::sink_attention_backward(const Tensor& grad_o, const Tensor& delta, const AttentionTrace& trace, const Tensor& sink,
                                                  const Tensor& grad_sink) {
  const AttentionKeys& keys = trace.keys;
  const int64_t T = trace.q.size(0), dim = trace.q.size(2);
  const auto wide = trace.lse.options();
  AttentionGrads grads{.q = {}, .window = at::zeros(keys.window.sizes(), wide), .entries = {}};
  if (keys.entries.defined()) grads.entries = at::zeros(keys.entries.sizes(), wide);
  std::vector<Tensor> grad_q;
  for (int64_t first = 0; first < T; first += kQueryBlock) {
    const int64_t count = std::min(kQueryBlock, T - first);
    const Block block = make_block(trace.q, keys, trace.scale, first, count);
    const Tensor go = to_accumulate(grad_o.narrow(0, first, count));                           // [b, H, Dh]
    const Tensor p = at::exp(block.logits - trace.lse.narrow(0, first, count).unsqueeze(-1));  // [b, H, n]
    const Tensor da = p * (at::bmm(go, block.keys.transpose(1, 2)) - delta.narrow(0, first, count).unsqueeze(-1)) * trace.scale;
    grad_q.push_back(at::bmm(da, block.keys).to(trace.q.scalar_type()));
    // A key is also a value: both paths land on the same vector.
    const Tensor grad_keys = at::bmm(da.transpose(1, 2), block.q) + at::bmm(p.transpose(1, 2), go);   // [b, n, Dh], zero where invalid
    const int64_t n = keys.max_window;
    grads.window.index_add_(0, block.window.rows.flatten(), grad_keys.narrow(1, 0, n).reshape({-1, dim}));
    if (has_entries(keys))
      grads.entries.index_add_(0, block.entries.rows.flatten(), grad_keys.narrow(1, n, grad_keys.size(1) - n).reshape({-1, dim}));
  }
  if (grad_sink.defined()) grad_sink.sub_((at::exp(sink.to(wide.dtype()) - trace.lse) * delta).sum(0));
  grads.q = at::cat(grad_q);
  return grads;
}

namespace {
const ReferenceKernel<SinkAttention> forward_registered{&reference::sink_attention};
const ReferenceKernel<SinkAttentionBackward> backward_registered{&reference::sink_attention_backward};
}  // namespace

}  // namespace temper
