#include "model/deepseek_v4/model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "base/error.h"
#include "kernels/gather_rows.h"
#include "ops/embedding.h"
#include "ops/linear_cross_entropy.h"
#include "tensor/probe.h"

namespace temper {

struct ForwardSaved {
  Tensor token_ids;   // [T]
  ForwardOptions options;
  AttentionContext attention;
  std::vector<BlockSaved> blocks;
  HeadSaved head;

  struct Mtp {
    Tensor next_ids;   // [T]
    MtpInputSaved input;
    BlockSaved block;
    HeadSaved head;
  };
  std::vector<Mtp> mtp;
};

namespace {

Tensor add(const Tensor& sum, const Tensor& value) { return sum.defined() ? sum + value : value; }

void add_stats(const BlockStats& stats, const AttentionContext& attention, ForwardResult& result) {
  result.expert_counts.push_back(stats.expert_counts);
  if (stats.balance_sum.defined()) {
    result.balance_sum = add(result.balance_sum, stats.balance_sum);
    result.n_balance_tokens += attention.layout.n_tokens;
  }
  if (stats.indexer_sum.defined()) {
    result.indexer_sum = add(result.indexer_sum, stats.indexer_sum);
    result.n_indexer_queries += attention.entries.at(4).table.n_seeing_tokens;
  }
}

// The streams are M copies: the embedding's gradient is their sum.
Tensor streams_sum(const Tensor& grad_streams) { return to_accumulate(grad_streams).sum(1); }

}  // namespace

Model::Model(const ModelWeights& weights, std::shared_ptr<const TokenDispatcher> dispatcher)
    : weights_(weights), dispatcher_(dispatcher ? std::move(dispatcher) : std::make_shared<LocalTokenDispatcher>()) {}

void Model::check(const Batch& batch) const {
  expect_shape(batch.token_ids, {-1}, "batch.token_ids");
  int64_t n_tokens = 0;
  for (const int64_t length : batch.document_lengths) n_tokens += length;
  if (n_tokens != batch.token_ids.size(0))
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("the documents hold {} tokens, there are {} ids", n_tokens, batch.token_ids.size(0)),
                 .where = "batch", .fix = "give document lengths that add up to the number of ids"});
  if (batch.token_ids.is_meta()) return;
  const int64_t lowest = batch.token_ids.min().item<int64_t>(), highest = batch.token_ids.max().item<int64_t>();
  if (lowest >= 0 && highest < config().vocab_size) return;
  throw Error({.kind = ErrorKind::kData,
               .what = fmt::format("token id {} is outside the vocabulary of {}", lowest < 0 ? lowest : highest, config().vocab_size),
               .where = "batch", .fix = "use the tokenizer that belongs to the model"});
}

void Model::check_routing_tables() const {
  if (routing_checked_) return;
  for (int64_t n = 0; n < config().n_layers; ++n)
    if (const std::string name = fmt::format("layers.{}.ffn.gate.tid2eid", n); weights_.has(name))
      check_tid2eid(weights_.weight(name).value, config().n_routed_experts, name);
  routing_checked_ = true;
}

RopeConfig Model::main_rope() const { return {.rope_head_dim = config().rope_head_dim, .theta = config().rope_theta, .yarn = {}}; }

RopeConfig Model::compress_rope() const {
  RopeConfig rope{.rope_head_dim = config().rope_head_dim, .theta = config().compress_rope_theta, .yarn = {}};
  const YarnConfig& yarn = config().yarn;
  if (yarn.enabled())
    rope.yarn = Yarn{.factor = yarn.factor, .original_length = static_cast<double>(yarn.original_max_positions), .beta_fast = yarn.beta_fast, .beta_slow = yarn.beta_slow};
  return rope;
}

AttentionContext Model::attention_context(const std::vector<int64_t>& document_lengths, c10::Device device) const {
  return AttentionContext::make({.document_lengths = document_lengths,
                                 .ratios = config().compress_ratios,
                                 .sliding_window = config().sliding_window,
                                 .main = main_rope(),
                                 .compress = compress_rope(),
                                 .dtype = weights_.options().compute_dtype,
                                 .device = device});
}

Tensor Model::embed(const Tensor& token_ids) const {
  const Tensor h = embedding(token_ids, weights_.weight("embed").value);                      // [T, D]
  return h.unsqueeze(1).expand({-1, config().hc_mult, -1}).contiguous();                      // [T, M, D]
}

Tensor Model::final_hidden(const Tensor& streams) const { return collapse(streams, bind_head(weights_), config()).first; }

Tensor Model::logits(const Tensor& hidden) const { return temper::logits(hidden, head().value); }

ForwardResult Model::forward(const Batch& batch, const ForwardOptions& options) const {
  check(batch);
  check_routing_tables();
  const ModelConfig& c = config();
  ForwardResult result;
  result.n_tokens = batch.token_ids.size(0);
  auto saved = std::make_shared<ForwardSaved>();
  saved->token_ids = batch.token_ids;
  saved->options = options;
  saved->attention = attention_context(batch.document_lengths, batch.token_ids.device());
  BlockContext context{.config = c, .attention = saved->attention, .dispatcher = *dispatcher_, .options = saved->options};

  Tensor streams = embed(batch.token_ids);                                                    // [T, M, D]
  probe("embed", streams.select(1, 0));
  for (int64_t n = 0; n < c.n_layers; ++n) {
    BlockForward pass = block_forward(streams, batch.token_ids, bind_block(weights_, n), context);
    streams = pass.streams;
    ++context.block;
    add_stats(pass.stats, saved->attention, result);
    if (options.training) saved->blocks.push_back(std::move(pass.saved));
  }
  auto [hidden, head_saved] = collapse(streams, bind_head(weights_), c);                      // [T, D]
  probe("hidden", hidden);
  result.hidden = hidden;
  if (options.training) saved->head = std::move(head_saved);

  for (int64_t i = 0; options.mtp && i < c.n_mtp_layers; ++i) {
    const MtpWeights weights = bind_mtp(weights_, i);
    const Tensor rows = shifted_rows(batch.document_lengths, i + 1, batch.token_ids.device());
    const Tensor next_ids = gather_rows(batch.token_ids, rows);                       // [T]
    auto [input, input_saved] = mtp_input(streams, embedding(next_ids, weights_.weight("embed").value), weights, c);
    BlockForward pass = block_forward(input, batch.token_ids, weights.block, context);
    ++context.block;
    streams = pass.streams;                                                                   // [T, M, D]
    add_stats(pass.stats, saved->attention, result);
    auto [mtp_hidden, mtp_head] = collapse(streams, weights.head, c);                         // [T, D]
    probe(weights.block.name + ".hidden", mtp_hidden);
    result.mtp_hidden.push_back(mtp_hidden);
    if (options.training) saved->mtp.push_back({next_ids, std::move(input_saved), std::move(pass.saved), std::move(mtp_head)});
  }
  if (options.training) result.saved = std::move(saved);
  return result;
}

void Model::backward(ForwardResult& result, const Tensor& grad_hidden, const std::vector<Tensor>& grad_mtp_hidden) const {
  if (!result.saved)
    throw Error({.kind = ErrorKind::kInternal, .what = "this forward pass kept nothing for a backward pass, or it was used up", .where = "Model::backward",
                 .fix = "call forward with training = true, and backward once: please report it"});
  const std::shared_ptr<ForwardSaved> saved = std::move(result.saved);
  const ModelConfig& c = config();
  const BlockContext context{.config = c, .attention = saved->attention, .dispatcher = *dispatcher_, .options = saved->options};
  const Weight& embed = weights_.weight("embed");

  Tensor grad_streams;   // [T, M, D] of the streams between the main model and the MTP blocks, from the last block on
  for (size_t i = saved->mtp.size(); i-- > 0;) {
    ForwardSaved::Mtp& mtp = saved->mtp[i];
    const MtpWeights weights = bind_mtp(weights_, static_cast<int64_t>(i));
    const bool given = i < grad_mtp_hidden.size() && grad_mtp_hidden[i].defined();
    if (given) grad_streams = add(grad_streams, collapse_backward(grad_mtp_hidden[i], mtp.head, weights.head, c));
    if (!grad_streams.defined()) grad_streams = at::zeros(mtp.head.streams.sizes(), mtp.head.streams.options());   // balance loss alone
    const Tensor grad_input = block_backward(grad_streams, saved->token_ids, mtp.block, weights.block, context);
    const MtpInputGrad grads = mtp_input_backward(grad_input, mtp.input, weights);
    embedding_backward(grads.embedded, mtp.next_ids, embed);
    grad_streams = grads.streams;
  }

  grad_streams = add(grad_streams, collapse_backward(grad_hidden, saved->head, bind_head(weights_), c));
  for (int64_t n = c.n_layers - 1; n >= 0; --n)
    grad_streams = block_backward(grad_streams, saved->token_ids, saved->blocks[static_cast<size_t>(n)], bind_block(weights_, n), context);
  embedding_backward(streams_sum(grad_streams), saved->token_ids, embed);
}

}  // namespace temper
