#include "ops/linear_cross_entropy.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "kernels/cross_entropy.h"
#include "kernels/gather_rows.h"
#include "kernels/grouped_matmul.h"
#include "tensor/batch.h"

namespace temper {
namespace {

constexpr int64_t kChunkLogits = int64_t{4} << 20;   // 16 MiB of fp32 logits at a time

// The trained rows, gathered; the chunks walk over them.
struct TrainedRows {
  Tensor rows;      // [n] int64
  Tensor hidden;    // [n, D]
  Tensor targets;   // [n]
  int64_t chunk;

  TrainedRows(const Tensor& all_hidden, const Tensor& all_targets, int64_t vocab_size) {
    expect_shape(all_targets, {all_hidden.size(0)}, "linear_cross_entropy.targets");
    // A document's last token has no target; how many more have none, meta tensors cannot say.
    rows = all_targets.is_meta() ? at::arange(all_targets.size(0) - 1, all_targets.options()) : all_targets.ne(kIgnoredLabel).nonzero().squeeze(-1);
    hidden = rows.size(0) == all_hidden.size(0) ? all_hidden : gather_rows(all_hidden, rows);
    targets = gather_rows(all_targets, rows);
    chunk = std::clamp<int64_t>(kChunkLogits / vocab_size, 16, 4096);
  }

  template <class F>
  void for_each_chunk(const F& body) const {
    for (int64_t start = 0; start < rows.size(0); start += chunk) body(start, std::min(chunk, rows.size(0) - start));
  }
};

Tensor chunk_logits(const Tensor& hidden, const Tensor& head) {
  return kernel<GroupedMatmul>(hidden)(hidden, head.unsqueeze(0), {0, hidden.size(0)}, accumulate_dtype(hidden.scalar_type()));
}

// Adds to head.grad; -> grad of the chunk's hidden rows.
Tensor chunk_backward(const Tensor& grad_logits, const Tensor& hidden, const Weight& head) {
  const std::vector<int64_t> one_group{0, hidden.size(0)};
  if (head.trained()) kernel<GroupedMatmulGradWeight>(hidden)(grad_logits, hidden, one_group, head.grad.unsqueeze(0), head.adds());
  return kernel<GroupedMatmulGradInput>(hidden)(grad_logits, head.value.unsqueeze(0), one_group, hidden.scalar_type());
}

Tensor scatter_rows(const Tensor& values, const Tensor& rows, int64_t n_rows) {
  if (values.size(0) == n_rows) return values;
  Shape shape = values.sizes().vec();
  shape[0] = n_rows;
  return at::zeros(shape, values.options()).index_copy_(0, rows, values);
}

}  // namespace

TokenLogprobs linear_cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets) {
  const TrainedRows trained(hidden, targets, head.size(0));
  const auto wide = hidden.options().dtype(accumulate_dtype(hidden.scalar_type()));
  const Tensor logprobs = at::empty({trained.rows.size(0)}, wide), lse = at::empty_like(logprobs);
  trained.for_each_chunk([&](int64_t start, int64_t size) {
    const Tensor z = chunk_logits(trained.hidden.narrow(0, start, size), head);                    // [size, V]
    const auto [chunk_logprobs, chunk_lse] = kernel<TargetLogprobs>(hidden)(z, trained.targets.narrow(0, start, size));
    logprobs.narrow(0, start, size).copy_(chunk_logprobs);
    lse.narrow(0, start, size).copy_(chunk_lse);
  });
  return {scatter_rows(logprobs, trained.rows, hidden.size(0)), scatter_rows(lse, trained.rows, hidden.size(0))};
}

Tensor linear_cross_entropy_backward(const Tensor& grad_logprobs, const Tensor& hidden, const Weight& head, const Tensor& targets, const Tensor& lse) {
  const TrainedRows trained(hidden, targets, head.value.size(0));
  const Tensor g = gather_rows(grad_logprobs, trained.rows), trained_lse = gather_rows(lse, trained.rows);
  const Tensor grad_hidden = at::empty(trained.hidden.sizes(), hidden.options());
  trained.for_each_chunk([&](int64_t start, int64_t size) {
    const Tensor x = trained.hidden.narrow(0, start, size);
    const Tensor grad_logits = kernel<TargetLogprobsBackward>(hidden)(g.narrow(0, start, size), chunk_logits(x, head.value),
                                                                      trained.targets.narrow(0, start, size), trained_lse.narrow(0, start, size),
                                                                      hidden.scalar_type());
    grad_hidden.narrow(0, start, size).copy_(chunk_backward(grad_logits, x, head));
  });
  return scatter_rows(grad_hidden, trained.rows, hidden.size(0));
}

LinearCrossEntropyGrad linear_cross_entropy_with_grad(const Tensor& grad_logprobs, const Tensor& hidden, const Weight& head, const Tensor& targets) {
  const TrainedRows trained(hidden, targets, head.value.size(0));
  const Tensor g = gather_rows(grad_logprobs, trained.rows);
  const auto wide = hidden.options().dtype(accumulate_dtype(hidden.scalar_type()));
  const Tensor logprobs = at::empty({trained.rows.size(0)}, wide), lse = at::empty_like(logprobs);
  const Tensor grad_hidden = at::empty(trained.hidden.sizes(), hidden.options());
  trained.for_each_chunk([&](int64_t start, int64_t size) {
    const Tensor x = trained.hidden.narrow(0, start, size), chunk_targets = trained.targets.narrow(0, start, size);
    const Tensor z = chunk_logits(x, head.value);                                                  // [size, V]
    const auto [chunk_logprobs, chunk_lse] = kernel<TargetLogprobs>(hidden)(z, chunk_targets);
    logprobs.narrow(0, start, size).copy_(chunk_logprobs);
    lse.narrow(0, start, size).copy_(chunk_lse);
    const Tensor grad_logits = kernel<TargetLogprobsBackward>(hidden)(g.narrow(0, start, size), z, chunk_targets, chunk_lse, hidden.scalar_type());
    grad_hidden.narrow(0, start, size).copy_(chunk_backward(grad_logits, x, head));
  });
  return {{scatter_rows(logprobs, trained.rows, hidden.size(0)), scatter_rows(lse, trained.rows, hidden.size(0))},
          scatter_rows(grad_hidden, trained.rows, hidden.size(0))};
}

Tensor logits(const Tensor& hidden, const Tensor& head) { return chunk_logits(hidden, head); }

}  // namespace temper
