#include "ops/indexer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "base/error.h"
#include "kernels/quant.h"
#include "ops/linear.h"

namespace temper {
namespace {

constexpr int64_t kFp4Block = 32;

void expect_fp4_width(int64_t dim) {
  if (dim % kFp4Block == 0 && std::has_single_bit(static_cast<uint64_t>(dim))) return;
  throw Error({.kind = ErrorKind::kConfig,
               .what = fmt::format("FP4 training of the indexer needs index_head_dim to be a power of two of at least 32, it is {}", dim),
               .where = "model config, index_head_dim",
               .fix = "switch FP4 for the indexer off, or use another model"});
}

}  // namespace

Tensor hadamard(const Tensor& x) {
  const int64_t dim = x.size(-1);
  Tensor y = to_accumulate(x);
  for (int64_t half = 1; half < dim; half *= 2) {   // butterflies over pairs at distance `half`
    const Tensor pairs = y.unflatten(-1, {dim / (2 * half), 2, half});
    const Tensor a = pairs.select(-2, 0), b = pairs.select(-2, 1);
    y = at::stack({a + b, a - b}, -2).flatten(-3);
  }
  return (y / std::sqrt(static_cast<double>(dim))).to(x.scalar_type());
}

Tensor round_fp4_path(const Tensor& x) {
  expect_fp4_width(x.size(-1));
  const Tensor transformed = hadamard(x);
  return fake_quant_fp4_block(transformed.view({-1, x.size(-1)})).view(x.sizes());
}

IndexerQueries indexer_queries(const Tensor& u, const Tensor& qr, const IndexerWeights& weights, const IndexerConfig& config, const Rotation& rotation) {
  Tensor q = linear(qr, weights.wq_b.value).view({u.size(0), config.n_heads, config.head_dim});
  rope_(q, rotation);
  if (config.fp4) q = round_fp4_path(q);
  return {q, linear_wide(u, weights.weights_proj.value) / std::sqrt(static_cast<double>(config.n_heads * config.head_dim))};
}

Tensor indexer_keys(const Tensor& entries, const IndexerConfig& config) { return config.fp4 ? round_fp4_path(entries) : entries; }

IndexerSaved indexer(const Tensor& u, const Tensor& qr, const IndexerWeights& weights, const IndexerConfig& config, const IndexerPlan& plan, double eps) {
  const IndexerQueries queries = indexer_queries(u, qr, weights, config, plan.rotation);
  auto [entries, compressor_saved] = compressor(u, weights.compressor, plan.compressor, eps);
  return {.inputs = {.q = queries.q, .keys = indexer_keys(entries, config), .weights = queries.weights,
                     .entry_begin = plan.entry_begin, .entry_end = plan.entry_end, .max_entries = plan.max_entries},
          .compressor = compressor_saved};
}

void indexer_backward(const IndexerLossOutput& loss, double scale, const Tensor& u, const Tensor& qr, const IndexerWeights& weights,
                      const IndexerConfig& config, const IndexerPlan& plan, const IndexerSaved& saved) {
  // The scale is applied to small fp32 gradients after the low-precision ones: products of it may underflow in bf16 otherwise.
  Tensor grad_q = to_accumulate(loss.grad_q) * scale, grad_keys = loss.grad_keys * scale;
  if (config.fp4) {
    grad_q = hadamard(grad_q);
    grad_keys = hadamard(grad_keys);
  }
  rope_(grad_q, plan.rotation, /*inverse=*/true);
  linear_backward_weight(grad_q.view({u.size(0), -1}), qr, weights.wq_b);
  linear_backward_weight(loss.grad_weights * (scale / std::sqrt(static_cast<double>(config.n_heads * config.head_dim))), u, weights.weights_proj);
  Tensor nothing_reaches_u;
  compressor_backward(grad_keys, u, weights.compressor, plan.compressor, saved.compressor, nothing_reaches_u);
}

}  // namespace temper
