// docs/deepseek_v4.md, "Attention": one statement for each formula, in the order of the page.
//   T tokens   D hidden_size   H n_heads   Dh head_dim   N compressed entries   G o_groups

#include "ops/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "ops/linear.h"
#include "ops/rms_norm.h"
#include "tensor/probe.h"

namespace temper {
namespace {

double softmax_scale(const AttentionConfig& config) { return 1.0 / std::sqrt(static_cast<double>(config.head_dim)); }

const Rotation& rotation_of(const AttentionConfig& config, const AttentionContext& context) {
  return config.compress_ratio == 0 ? context.main : context.compress;
}

IndexerConfig indexer_config(const AttentionConfig& config, const AttentionOptions& options) {
  return {.n_heads = config.index_n_heads, .head_dim = config.index_head_dim, .top_k = config.index_top_k, .fp4 = options.fp4_indexer};
}

IndexerPlan indexer_plan(const AttentionContext& context, const AttentionContext::Entries& entries) {
  return {.compressor = entries.plan, .rotation = context.compress, .entry_begin = entries.table.begin, .entry_end = entries.table.end,
          .max_entries = entries.table.max_entries};
}

void probe_at(const AttentionOptions& options, const char* name, const Tensor& value) {
  if (!probing() || options.probe_prefix.empty() || !value.defined()) return;
  probe(options.probe_prefix + "." + name, value);
}

// Compressed entries and, where a document has more of them than a query may attend to, the indexer's choice.
void add_entries(AttentionSaved& saved, const AttentionWeights& weights, const AttentionConfig& config, const AttentionContext& context,
                 const AttentionOptions& options) {
  const AttentionContext::Entries& entries = context.entries.at(config.compress_ratio);
  if (entries.table.n_entries == 0) return;   // every document is shorter than the ratio
  AttentionKeys& keys = saved.keys;
  std::tie(keys.entries, saved.compressor) = compressor(saved.u, *weights.compressor, entries.plan, config.rms_norm_eps);   // [N, Dh]
  keys.entry_begin = entries.table.begin;
  keys.entry_end = entries.table.end;
  keys.max_entries = entries.table.max_entries;
  probe_at(options, "entries", keys.entries);
  if (config.compress_ratio != 4) return;

  const bool selects = keys.max_entries > config.index_top_k;
  if (!selects && !options.train_indexer) return;
  if (selects && !options.train_indexer && options.selected.defined()) {
    keys.selected = options.selected;
    return;
  }
  saved.indexer = indexer(saved.u, saved.qr, *weights.indexer, indexer_config(config, options), indexer_plan(context, entries), config.rms_norm_eps);
  if (selects) keys.selected = kernel<IndexerSelect>(saved.u)(saved.indexer->inputs, config.index_top_k);   // [T, K]
  if (probing()) probe_at(options, "index_scores", reference::indexer_scores(saved.indexer->inputs));
  probe_at(options, "selected", keys.selected);
  if (!options.train_indexer) saved.indexer.reset();   // the choice is all that attention takes from it
}

}  // namespace

AttentionQueries attention_queries(const Tensor& qa, const AttentionWeights& weights, const AttentionConfig& config, const Rotation& rotation) {
  AttentionQueries queries;
  queries.qa = qa;
  RmsNormed normed = rms_norm(queries.qa, weights.q_norm.value, config.rms_norm_eps);
  queries.qr = normed.y;
  queries.qa_rstd = normed.rstd;
  const Tensor heads = linear(queries.qr, weights.wq_b.value).view({qa.size(0), config.n_heads, config.head_dim});
  std::tie(queries.q, queries.q_rstd) = kernel<NormRope>(heads)(heads, rotation, config.rms_norm_eps);   // no weight here
  return queries;
}

AttentionWindowKeys attention_window_keys(const Tensor& raw, const AttentionWeights& weights, const AttentionConfig& config, const Rotation& rotation) {
  AttentionWindowKeys keys;
  keys.raw = raw;
  RmsNormed normed = rms_norm(keys.raw, weights.kv_norm.value, config.rms_norm_eps);
  keys.kv = normed.y;
  keys.rstd = normed.rstd;
  rope_(keys.kv, rotation);
  return keys;
}

AttentionOutput attend(const Tensor& q, const AttentionKeys& keys, const Weight& attn_sink, const Rotation& rotation) {
  AttentionOutput out = kernel<SinkAttention>(q)(q, keys, attn_sink.value, 1.0 / std::sqrt(static_cast<double>(q.size(-1))));
  rope_(out.o, rotation, /*inverse=*/true);   // values carry their rotation: taking it back leaves relative positions
  return out;
}

OutputProjection attention_output(const Tensor& o, const AttentionWeights& weights, const AttentionConfig& config) {
  const Tensor low_rank = block_linear(o.view({o.size(0), -1}), weights.wo_a.value, config.o_groups);   // [T, G*o_lora_rank]
  return {linear(low_rank, weights.wo_b.value), low_rank};
}

Tensor attention_output_backward(const Tensor& grad_out, const Tensor& o, const Tensor& low_rank, const AttentionWeights& weights,
                                 const AttentionConfig& config) {
  const Tensor grad_low_rank = linear_backward(grad_out, low_rank, weights.wo_b);
  return block_linear_backward(grad_low_rank, o.view({o.size(0), -1}), weights.wo_a, config.o_groups).view(o.sizes());
}

AttentionForward attention(const Tensor& u, const AttentionWeights& weights, const AttentionConfig& config, const AttentionContext& context,
                           const AttentionOptions& options) {
  expect_shape(u, {context.layout.n_tokens, config.hidden_size}, "attention.input");
  const Rotation& rotation = rotation_of(config, context);
  AttentionSaved saved;
  saved.u = u;

  const AttentionQueries queries = attention_queries(linear(u, weights.wq_a.value), weights, config, rotation);       // q [T, H, Dh]
  const AttentionWindowKeys window = attention_window_keys(linear(u, weights.wkv.value), weights, config, rotation);   // kv [T, Dh]
  saved.qa = queries.qa, saved.qa_rstd = queries.qa_rstd, saved.qr = queries.qr, saved.q = queries.q, saved.q_rstd = queries.q_rstd;
  saved.kv_raw = window.raw, saved.kv_rstd = window.rstd;
  saved.keys.window = window.kv;
  saved.keys.window_begin = context.window_begin;
  saved.keys.window_end = context.window_end;
  saved.keys.max_window = context.max_window;
  if (config.compress_ratio > 0) add_entries(saved, weights, config, context, options);

  const AttentionOutput attended = attend(saved.q, saved.keys, weights.attn_sink, rotation);   // o [T, H, Dh]
  saved.o = attended.o;
  saved.lse = attended.lse;
  if (saved.indexer && options.train_indexer)
    saved.indexer_loss = kernel<IndexerLoss>(u)(saved.indexer->inputs, {saved.q, saved.lse, saved.keys, softmax_scale(config)});
  const OutputProjection projected = attention_output(saved.o, weights, config);
  saved.low_rank = projected.low_rank;

  probe_at(options, "q", saved.q);
  probe_at(options, "kv", saved.keys.window);
  probe_at(options, "o", saved.o);
  probe_at(options, "out", projected.out);
  if (!options.recompute) return {projected.out, saved};
  AttentionSaved only_input;
  only_input.u = u;
  only_input.keys.selected = saved.keys.selected;
  // The loss value is wanted before the backward pass; its gradients are made again there.
  if (saved.indexer_loss) only_input.indexer_loss = IndexerLossOutput{saved.indexer_loss->loss, {}, {}, {}};
  return {projected.out, only_input};
}

Tensor attention_backward(const Tensor& grad_out, const AttentionWeights& weights, const AttentionConfig& config, const AttentionContext& context,
                          const AttentionOptions& options, const AttentionSaved& saved_or_input, double indexer_scale) {
  if (!saved_or_input.q.defined()) {
    AttentionOptions again = options;
    again.recompute = false;
    again.probe_prefix.clear();
    again.selected = saved_or_input.keys.selected;
    return attention_backward(grad_out, weights, config, context, again, attention(saved_or_input.u, weights, config, context, again).saved, indexer_scale);
  }
  const AttentionSaved& saved = saved_or_input;
  const Rotation& rotation = rotation_of(config, context);
  const int64_t T = saved.u.size(0);
  const at::ScalarType dtype = saved.u.scalar_type();

  Tensor grad_o = attention_output_backward(grad_out, saved.o, saved.low_rank, weights, config);   // [T, H, Dh]
  const Tensor delta = kernel<HeadDots>(grad_o)(grad_o, saved.o);                                  // [T, H]; a turn of both leaves it
  rope_(grad_o, rotation);
  const AttentionTrace trace{saved.q, saved.lse, saved.keys, softmax_scale(config)};
  const AttentionGrads grads = kernel<SinkAttentionBackward>(saved.u)(grad_o, delta, trace, weights.attn_sink.value, weights.attn_sink.grad_sum());

  Tensor grad_u = at::zeros(saved.u.sizes(), saved.u.options().dtype(accumulate_dtype(dtype)));    // sum over all consumers of u
  const Tensor grad_heads = kernel<NormRopeBackward>(saved.q)(grads.q, saved.q, saved.q_rstd, rotation);
  const Tensor grad_qr = linear_backward(grad_heads.view({T, -1}), saved.qr, weights.wq_b);
  linear_backward_into(rms_norm_backward(grad_qr, saved.qa, saved.qa_rstd, weights.q_norm), saved.u, weights.wq_a, grad_u);

  Tensor grad_kv = grads.window.to(dtype);
  rope_(grad_kv, rotation, /*inverse=*/true);
  linear_backward_into(rms_norm_backward(grad_kv, saved.kv_raw, saved.kv_rstd, weights.kv_norm), saved.u, weights.wkv, grad_u);

  if (saved.compressor) {
    const AttentionContext::Entries& entries = context.entries.at(config.compress_ratio);
    compressor_backward(grads.entries, saved.u, *weights.compressor, entries.plan, *saved.compressor, grad_u);
    if (saved.indexer_loss && indexer_scale != 0)
      indexer_backward(*saved.indexer_loss, indexer_scale, saved.u, saved.qr, *weights.indexer, indexer_config(config, options),
                       indexer_plan(context, entries), *saved.indexer);
  }
  return grad_u.to(dtype);
}

}  // namespace temper
