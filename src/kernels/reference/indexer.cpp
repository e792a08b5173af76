#include "kernels/indexer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/where.h>
#include <ATen/ops/xlogy.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>

namespace temper {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Scores {
  Tensor keys, dots, scores;   // [b, n, Di], [b, Hi, n], [b, n]
};

Scores score(const IndexerInputs& inputs, const Tensor& rows, int64_t first) {
  const int64_t count = rows.size(0);
  const Tensor keys = to_accumulate(inputs.keys).index_select(0, rows.flatten()).view({count, rows.size(1), -1});
  const Tensor dots = at::bmm(to_accumulate(inputs.q.narrow(0, first, count)), keys.transpose(1, 2));
  return {keys, dots, (at::relu(dots) * inputs.weights.narrow(0, first, count).unsqueeze(-1)).sum(1)};
}

reference::GatheredKeys visible_rows(const IndexerInputs& inputs, int64_t first, int64_t count) {
  const AttentionKeys keys{.window = {}, .window_begin = {}, .window_end = {}, .max_window = 0, .entries = inputs.keys,
                           .entry_begin = inputs.entry_begin, .entry_end = inputs.entry_end, .max_entries = inputs.max_entries, .selected = {}};
  return reference::entry_rows(keys, first, count);
}

Tensor block_scores(const IndexerInputs& inputs, int64_t first, int64_t count) {
  const reference::GatheredKeys visible = visible_rows(inputs, first, count);
  return score(inputs, visible.rows, first).scores.masked_fill(~visible.valid, -kInfinity);
}

}  // namespace

Tensor reference::indexer_scores(const IndexerInputs& inputs) {
  std::vector<Tensor> blocks;
  for (int64_t first = 0; first < inputs.q.size(0); first += kQueryBlock)
    blocks.push_back(block_scores(inputs, first, std::min(kQueryBlock, inputs.q.size(0) - first)));
  return at::cat(blocks);
}

Tensor reference::indexer_select(const IndexerInputs& inputs, int64_t top_k) {
  const int64_t T = inputs.q.size(0), n = inputs.max_entries, K = std::min(top_k, n);
  constexpr int64_t kNone = std::numeric_limits<int32_t>::max();
  std::vector<Tensor> blocks;
  for (int64_t first = 0; first < T; first += kQueryBlock) {
    const int64_t count = std::min(kQueryBlock, T - first);
    const Tensor begin = inputs.entry_begin.narrow(0, first, count).unsqueeze(-1);
    const Tensor n_visible = inputs.entry_end.narrow(0, first, count).unsqueeze(-1) - begin;
    // NaN is below every number but above the invisible ones; adding 0 turns -0 into +0.
    const Tensor scores = block_scores(inputs, first, count) + 0.0;
    const Tensor ordered = scores.masked_fill(scores != scores, std::numeric_limits<float>::lowest());
    const Tensor order = std::get<1>(at::sort(ordered, /*stable=*/true, /*dim=*/-1, /*descending=*/true)).narrow(1, 0, K);
    const Tensor chosen = std::get<0>(at::sort(order.masked_fill(order >= n_visible, kNone), -1));
    blocks.push_back(at::where(chosen == kNone, at::full({}, -1, chosen.options()), chosen + begin).to(at::kInt));
  }
  return at::cat(blocks);
}

IndexerLossOutput reference::indexer_loss(const IndexerInputs& inputs, const AttentionTrace& trace) {
  const int64_t T = inputs.q.size(0), dim = inputs.q.size(2);
  const auto wide = inputs.weights.options();
  IndexerLossOutput out{.loss = at::zeros({}, wide), .grad_q = {}, .grad_keys = at::zeros(inputs.keys.sizes(), wide), .grad_weights = {}};
  std::vector<Tensor> grad_q, grad_weights;
  for (int64_t first = 0; first < T; first += kQueryBlock) {
    const int64_t count = std::min(kQueryBlock, T - first);
    const GatheredKeys support = entry_rows(trace.keys, first, count);                         // [b, n]
    const Tensor attended = to_accumulate(trace.keys.entries).index_select(0, support.rows.flatten()).view({count, support.rows.size(1), -1});
    const Tensor logits = at::bmm(to_accumulate(trace.q.narrow(0, first, count)), attended.transpose(1, 2)) * trace.scale;
    const Tensor paid = at::exp(logits - trace.lse.narrow(0, first, count).unsqueeze(-1)).sum(1).masked_fill(~support.valid, 0);
    const Tensor total = paid.sum(-1, /*keepdim=*/true);                                       // [b, 1]
    const Tensor counts = total > 0;
    const Tensor teacher = paid / at::where(counts, total, at::ones_like(total));

    const Scores scored = score(inputs, support.rows, first);
    // Rows without entries would be log_softmax of nothing but -inf: they get any finite row, and are masked below.
    const Tensor masked = at::where(support.valid | ~counts, scored.scores, scored.scores.new_full({}, -kInfinity));
    const Tensor student = at::log_softmax(masked, -1);
    const Tensor kl = (at::xlogy(teacher, teacher) - at::where(teacher > 0, teacher * student, at::zeros_like(teacher))).sum(-1, true);
    out.loss = out.loss + at::where(counts, kl, at::zeros_like(kl)).sum();

    const Tensor dscore = at::where(support.valid & counts, at::exp(student) - teacher, at::zeros_like(teacher));   // [b, n]
    const Tensor weights = inputs.weights.narrow(0, first, count).unsqueeze(-1);               // [b, Hi, 1]
    grad_weights.push_back((at::relu(scored.dots) * dscore.unsqueeze(1)).sum(-1));
    const Tensor ddots = at::where(scored.dots > 0, dscore.unsqueeze(1) * weights, at::zeros_like(scored.dots));    // [b, Hi, n]
    grad_q.push_back(at::bmm(ddots, scored.keys).to(inputs.q.scalar_type()));
    const Tensor grad_keys = at::bmm(ddots.transpose(1, 2), to_accumulate(inputs.q.narrow(0, first, count)));
    out.grad_keys.index_add_(0, support.rows.flatten(), grad_keys.reshape({-1, dim}));
  }
  out.grad_q = at::cat(grad_q);
  out.grad_weights = at::cat(grad_weights);
  return out;
}

namespace {
const ReferenceKernel<IndexerSelect> select_registered{&reference::indexer_select};
const ReferenceKernel<IndexerLoss> loss_registered{&reference::indexer_loss};
}  // namespace

}  // namespace temper
