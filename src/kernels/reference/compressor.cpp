#include "kernels/compressor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

namespace temper {
namespace {

// [N, ratio] rows of one block of each entry; an absent block repeats row 0 and is masked.
Tensor block_rows(const Tensor& first, int64_t ratio) {
  return first.clamp_min(0).unsqueeze(-1) + at::arange(ratio, first.options());
}

// The rows of every pool, own block last.  [N, P, Dh], P = ratio or 2*ratio.
struct Pools {
  Tensor values, gates;
};

Pools gather(const Tensor& values, const Tensor& gates, const Tensor& ape, const PoolRows& rows) {
  const int64_t N = rows.first_token.size(0), dim = values.size(1) / (rows.overlap ? 2 : 1);
  const auto block = [&](const Tensor& source, const Tensor& first, int64_t column) {
    return source.narrow(1, column, dim).index_select(0, block_rows(first, rows.ratio).flatten()).view({N, rows.ratio, dim});
  };
  const Tensor wide_ape = ape.to(gates.scalar_type());
  if (!rows.overlap) return {block(values, rows.first_token, 0), block(gates, rows.first_token, 0) + wide_ape};
  const Tensor absent = (rows.previous < 0).view({N, 1, 1});
  const Tensor before = (block(gates, rows.previous, 0) + wide_ape.narrow(1, 0, dim)).masked_fill(absent, -std::numeric_limits<double>::infinity());
  const Tensor own = block(gates, rows.first_token, dim) + wide_ape.narrow(1, dim, dim);
  return {at::cat({block(values, rows.previous, 0).masked_fill(absent, 0), block(values, rows.first_token, dim)}, 1), at::cat({before, own}, 1)};
}

}  // namespace

Tensor reference::compressor_pool(const Tensor& values, const Tensor& gates, const Tensor& ape, const PoolRows& rows) {
  const Pools pools = gather(values, gates, ape, rows);
  return (at::softmax(pools.gates, 1) * pools.values).sum(1);
}

PoolGrads reference::compressor_pool_backward(const Tensor& grad_pooled, const Tensor& values, const Tensor& gates, const Tensor& ape,
                                              const Tensor& pooled, const PoolRows& rows, const Tensor& grad_ape) {
  const Pools pools = gather(values, gates, ape, rows);
  const Tensor weighted = at::softmax(pools.gates, 1) * grad_pooled.unsqueeze(1);              // [N, P, Dh] = dvalue
  const Tensor grad_gate = weighted * (pools.values - pooled.unsqueeze(1));
  PoolGrads grads{at::zeros_like(values), at::zeros_like(gates)};
  const int64_t dim = pooled.size(1);

  const auto scatter = [&](int64_t first_row, const Tensor& first, int64_t column) {
    const Tensor index = block_rows(first, rows.ratio).flatten();                              // absent rows carry zeros
    const Tensor value = weighted.narrow(1, first_row, rows.ratio), gate = grad_gate.narrow(1, first_row, rows.ratio);
    grads.values.narrow(1, column, dim).index_add_(0, index, value.reshape({-1, dim}));
    grads.gates.narrow(1, column, dim).index_add_(0, index, gate.reshape({-1, dim}));
    if (grad_ape.defined()) grad_ape.narrow(1, column, dim).add_(gate.sum(0));
  };
  if (rows.overlap) scatter(0, rows.previous, 0);
  scatter(rows.overlap ? rows.ratio : 0, rows.first_token, rows.overlap ? dim : 0);
  return grads;
}

namespace {
const ReferenceKernel<CompressorPool> forward_registered{&reference::compressor_pool};
const ReferenceKernel<CompressorPoolBackward> backward_registered{&reference::compressor_pool_backward};
}  // namespace

}  // namespace temper
