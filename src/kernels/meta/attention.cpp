// Shapes only, for the kernels whose reference uses operators that libtorch lacks on meta tensors.

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "kernels/compressor.h"
#include "kernels/indexer.h"

namespace temper {
namespace {

at::TensorOptions wide(const Tensor& like) { return like.options().dtype(accumulate_dtype(like.scalar_type())); }

Tensor compressor_pool(const Tensor& values, const Tensor&, const Tensor&, const PoolRows& rows) {
  return at::empty({rows.first_token.size(0), values.size(1) / (rows.overlap ? 2 : 1)}, values.options());
}

PoolGrads compressor_pool_backward(const Tensor&, const Tensor& values, const Tensor& gates, const Tensor&, const Tensor&, const PoolRows&, const Tensor&) {
  return {at::empty_like(values), at::empty_like(gates)};
}

AttentionOutput sink_attention(const Tensor& q, const AttentionKeys&, const Tensor&, double) {
  return {at::empty_like(q), at::empty({q.size(0), q.size(1)}, wide(q))};
}

AttentionGrads sink_attention_backward(const Tensor&, const Tensor&, const AttentionTrace& trace, const Tensor&, const Tensor&) {
  const AttentionKeys& keys = trace.keys;
  return {.q = at::empty_like(trace.q), .window = at::empty(keys.window.sizes(), wide(keys.window)),
          .entries = keys.entries.defined() ? at::empty(keys.entries.sizes(), wide(keys.entries)) : Tensor()};
}

Tensor indexer_select(const IndexerInputs& inputs, int64_t top_k) {
  return at::empty({inputs.q.size(0), std::min(top_k, inputs.max_entries)}, inputs.q.options().dtype(at::kInt));
}

IndexerLossOutput indexer_loss(const IndexerInputs& inputs, const AttentionTrace&) {
  return {.loss = at::empty({}, inputs.weights.options()), .grad_q = at::empty_like(inputs.q),
          .grad_keys = at::empty(inputs.keys.sizes(), wide(inputs.keys)), .grad_weights = at::empty_like(inputs.weights)};
}

const DeviceKernel<CompressorPool> pool_registered{c10::DeviceType::Meta, &compressor_pool};
const DeviceKernel<CompressorPoolBackward> pool_backward_registered{c10::DeviceType::Meta, &compressor_pool_backward};
const DeviceKernel<SinkAttention> attention_registered{c10::DeviceType::Meta, &sink_attention};
const DeviceKernel<SinkAttentionBackward> attention_backward_registered{c10::DeviceType::Meta, &sink_attention_backward};
const DeviceKernel<IndexerSelect> select_registered{c10::DeviceType::Meta, &indexer_select};
const DeviceKernel<IndexerLoss> loss_registered{c10::DeviceType::Meta, &indexer_loss};

}  // namespace
}  // namespace temper
