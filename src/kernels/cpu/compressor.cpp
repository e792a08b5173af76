#include "kernels/compressor.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "kernels/cpu/isa/compressor.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kGrainGates = 8192;   // fewer exponentials are not worth a second thread

// `ape` in the dtype of the gates is owned by the caller.
PoolArgs make_args(const Tensor& values, const Tensor& gates, const Tensor& ape, const PoolRows& rows) {
  const int64_t width = values.size(1);
  return {.element = element_of(values), .ratio = rows.ratio, .dim = rows.overlap ? width / 2 : width, .width = width, .overlap = rows.overlap,
          .first_token = rows.first_token.const_data_ptr<int64_t>(), .previous = rows.overlap ? rows.previous.const_data_ptr<int64_t>() : nullptr,
          .values = values.const_data_ptr(), .gates = gates.const_data_ptr(), .ape = ape.const_data_ptr(), .pooled = nullptr,
          .grad_pooled = nullptr, .grad_values = nullptr, .grad_gates = nullptr};
}

int64_t grain(const PoolArgs& args) { return kGrainGates / (args.ratio * args.width); }

Tensor compressor_pool(const Tensor& values, const Tensor& gates, const Tensor& ape_any, const PoolRows& rows) {
  const Tensor ape = ape_any.to(gates.scalar_type()).contiguous();
  PoolArgs args = make_args(values, gates, ape, rows);
  Tensor pooled = at::empty({rows.first_token.size(0), args.dim}, values.options());
  args.pooled = pooled.data_ptr();
  parallel_pieces(pooled.size(0), grain(args), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(pool_entries)(args, begin, end); });
  return pooled;
}

PoolGrads compressor_pool_backward(const Tensor& grad_pooled_any, const Tensor& values, const Tensor& gates, const Tensor& ape_any, const Tensor&,
                                   const PoolRows& rows, const Tensor& grad_ape) {
  const Tensor ape = ape_any.to(gates.scalar_type()).contiguous(), grad_pooled = grad_pooled_any.contiguous();
  PoolArgs args = make_args(values, gates, ape, rows);
  PoolGrads grads{at::zeros_like(values), at::zeros_like(gates)};
  args.grad_pooled = grad_pooled.const_data_ptr();
  args.grad_values = grads.values.data_ptr();
  args.grad_gates = grads.gates.data_ptr();
  const int64_t n = grad_pooled.size(0);
  // Every (token, channel) is in one pool at most, so threads never meet; only ape needs a sum for each of them.
  Tensor parts = grad_ape.defined() ? at::zeros({count_parts(n, grain(args)), args.ratio, args.width}, values.options()) : Tensor();
  parallel_parts(n, grain(args), [&](int64_t part, int64_t begin, int64_t end) {
    void* sum = parts.defined() ? static_cast<char*>(parts.data_ptr()) + part * args.ratio * args.width * static_cast<int64_t>(values.element_size()) : nullptr;
    TEMPER_ISA_PICK(pool_backward_entries)(args, sum, begin, end);
  });
  if (grad_ape.defined())
    for (int64_t part = 0; part < parts.size(0); ++part) grad_ape.add_(parts[part]);
  return grads;
}

const CpuKernel<CompressorPool, &compressor_pool> forward_registered;
const CpuKernel<CompressorPoolBackward, &compressor_pool_backward> backward_registered;

}  // namespace
}  // namespace temper
