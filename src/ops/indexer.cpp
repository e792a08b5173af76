#include "ops/indexer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ceil.h>
#include <ATen/ops/exp2.h>
#include <ATen/ops/frexp.h>
#include <ATen/ops/ldexp.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/round.h>
#include <ATen/ops/sign.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "base/error.h"
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

Tensor round_to_fp4(const Tensor& x) {
  const Tensor blocks = to_accumulate(x).unflatten(-1, {x.size(-1) / kFp4Block, kFp4Block});
  const Tensor largest = at::amax(at::abs(blocks), {-1}, /*keepdim=*/true).clamp_min(6.0 * 0x1p-126);
  // ceil(log2(v)) exactly: v = m 2^e with m in [0.5, 1), so it is e, but e - 1 for m = 0.5.
  const auto [mantissa, exponent] = at::frexp(largest / 6.0);
  const Tensor scale = at::exp2(at::where(mantissa == 0.5, exponent - 1, exponent).to(blocks.scalar_type()));
  const Tensor value = at::abs(blocks / scale).clamp_max(6.0);
  // Steps of 1/2 below 2, of 1 below 4, of 2 above; at::round rounds ties to even, which are the even mantissas here.
  const Tensor step = at::where(value < 2, at::ones_like(value) * 0.5, at::where(value < 4, at::ones_like(value), at::ones_like(value) * 2));
  return (at::sign(blocks) * at::round(value / step) * step * scale).flatten(-2).to(x.scalar_type());
}

Tensor round_fp4_path(const Tensor& x) {
  expect_fp4_width(x.size(-1));
  return round_to_fp4(hadamard(x));
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
