// docs/deepseek_v4.md, "The model": X -> (y, post, comb) = hc_pre(X); u = norm(y); out = sublayer(u); X <- hc_post(out, X).

#include "model/deepseek_v4/block.h"

#include "tensor/probe.h"
#include "tensor/profile.h"

namespace temper {
namespace {

void probe_at(const BlockWeights& weights, const char* name, const Tensor& value) {
  if (probing() && value.defined()) probe(weights.name + "." + name, value);
}

bool trains_indexer(const BlockWeights& weights, const ForwardOptions& options) {
  return options.training && options.indexer_scale != 0 && weights.attn.indexer.has_value();
}

// Hash layers have no balance loss: their load is fixed by the data (docs, "Losses").
bool balances(const BlockWeights& weights, const ForwardOptions& options) {
  return options.training && options.balance_scale != 0 && !weights.ffn.router.tid2eid.defined();
}

// `selected`: the indexer's choice in the first pass where this one repeats it.
AttentionForward run_attention(const Tensor& u, const BlockWeights& weights, const BlockContext& context, bool probes, const Tensor& selected = {}) {
  return attention(u, weights.attn, weights.attn_config, context.attention,
                   {.probe_prefix = probes && probing() ? weights.name + ".attn" : "",
                    .train_indexer = trains_indexer(weights, context.options),
                    .fp4_indexer = context.options.fp4_indexer,
                    .selected = selected});
}

MoeFfnForward run_ffn(const Tensor& u, const Tensor& token_ids, const BlockWeights& weights, const BlockContext& context) {
  return moe_ffn(u, token_ids, weights.ffn, weights.ffn_config, context.dispatcher);
}

Tensor attention_forward(const Tensor& streams, const BlockWeights& weights, const BlockContext& context, BlockForward& pass) {
  const ProfilePart part("attention");
  SiteSaved site = enter_site(streams, weights.attn_site, context.config);
  probe_at(weights, "attn_in", site.u);                                                       // [T, D]
  AttentionForward attended = run_attention(site.u, weights, context, /*probes=*/true);
  if (attended.saved.indexer_loss) pass.stats.indexer_sum = attended.saved.indexer_loss->loss.sum(at::kDouble);
  const Tensor next = leave_site(site, attended.out);                                         // [T, M, D]
  if (context.options.training) {
    if (policy_of(context.options.recompute, context.block).attention) {
      pass.saved.attn_site.streams = streams;
      pass.saved.attn.keys.selected = attended.saved.keys.selected;   // small, and choosing again is not: it grows with the square of the length
    } else {
      pass.saved.attn_site = std::move(site);
      pass.saved.attn = std::move(attended.saved);
      pass.saved.attn_site.u.reset(), pass.saved.attn.u.reset();
    }
  }
  return next;
}

Tensor ffn_forward(const Tensor& streams, const Tensor& token_ids, const BlockWeights& weights, const BlockContext& context, BlockForward& pass) {
  const ProfilePart part("ffn");
  SiteSaved site = enter_site(streams, weights.ffn_site, context.config);
  probe_at(weights, "ffn_in", site.u);                                                        // [T, D]
  MoeFfnForward ffn = run_ffn(site.u, token_ids, weights, context);
  probe_at(weights, "ffn.router_logits", ffn.saved.routing.logits);                           // [T, E]
  probe_at(weights, "ffn.expert_ids", ffn.saved.routing.expert_ids);                          // [T, K]
  probe_at(weights, "ffn.out", ffn.out);                                                      // [T, D]
  pass.stats.expert_counts = expert_counts(ffn.saved.routing.expert_ids, context.config.n_routed_experts);
  if (balances(weights, context.options))
    pass.stats.balance_sum = balance_loss(ffn.saved.routing, context.attention.layout.lengths, /*scale=*/0).sum;
  const Tensor next = leave_site(site, ffn.out);                                              // [T, M, D]
  if (context.options.training) {
    if (policy_of(context.options.recompute, context.block).ffn) {
      pass.saved.ffn_site.streams = streams;
    } else {
      pass.saved.ffn_site = std::move(site);
      pass.saved.ffn = std::move(ffn.saved);
      pass.saved.ffn_site.u.reset();
    }
  }
  return next;
}

Tensor attention_backward_of_block(const Tensor& grad_next, BlockSaved& saved, const BlockWeights& weights, const BlockContext& context) {
  const ProfilePart part("attention");
  if (!saved.attn_site.y.defined()) {   // recomputed
    saved.attn_site = enter_site(saved.attn_site.streams, weights.attn_site, context.config);
    AttentionForward again = run_attention(saved.attn_site.u, weights, context, /*probes=*/false, saved.attn.keys.selected);
    saved.attn_site.out = again.out;
    saved.attn = std::move(again.saved);
  } else {
    saved.attn.u = saved.attn_site.u = site_input(saved.attn_site, weights.attn_site, context.config);
  }
  const ForwardOptions& options = context.options;
  const HcPostGrad post = leave_site_backward(grad_next, saved.attn_site);
  const Tensor grad_u = attention_backward(post.out, weights.attn, weights.attn_config, context.attention,
                                           {.probe_prefix = "", .train_indexer = trains_indexer(weights, options), .fp4_indexer = options.fp4_indexer}, saved.attn,
                                           options.indexer_scale);
  return enter_site_backward({.grad_u = grad_u, .grad_next = grad_next, .grad_coefficients = post.coefficients, .saved = saved.attn_site},
                             weights.attn_site, context.config);
}

Tensor ffn_backward_of_block(const Tensor& grad_next, const Tensor& token_ids, BlockSaved& saved, const BlockWeights& weights, const BlockContext& context) {
  const ProfilePart part("ffn");
  if (!saved.ffn_site.y.defined()) {   // recomputed
    saved.ffn_site = enter_site(saved.ffn_site.streams, weights.ffn_site, context.config);
    MoeFfnForward again = run_ffn(saved.ffn_site.u, token_ids, weights, context);
    saved.ffn_site.out = again.out;
    saved.ffn = std::move(again.saved);
  } else {
    saved.ffn_site.u = site_input(saved.ffn_site, weights.ffn_site, context.config);
  }
  const ForwardOptions& options = context.options;
  const HcPostGrad post = leave_site_backward(grad_next, saved.ffn_site);
  Tensor grad_logits;
  if (balances(weights, options))
    grad_logits = balance_loss(saved.ffn.routing, context.attention.layout.lengths, options.balance_scale).grad_logits;
  const Tensor grad_u = moe_ffn_backward({.grad_out = post.out, .grad_router_logits = grad_logits, .u = saved.ffn_site.u, .saved = saved.ffn},
                                         weights.ffn, weights.ffn_config, context.dispatcher);
  return enter_site_backward({.grad_u = grad_u, .grad_next = grad_next, .grad_coefficients = post.coefficients, .saved = saved.ffn_site},
                             weights.ffn_site, context.config);
}

}  // namespace

BlockForward block_forward(const Tensor& streams, const Tensor& token_ids, const BlockWeights& weights, const BlockContext& context) {
  BlockForward pass;
  const Tensor middle = attention_forward(streams, weights, context, pass);                   // [T, M, D]
  pass.streams = ffn_forward(middle, token_ids, weights, context, pass);                      // [T, M, D]
  probe_at(weights, "streams", pass.streams);
  return pass;
}

Tensor block_backward(const Tensor& grad_streams, const Tensor& token_ids, BlockSaved& saved, const BlockWeights& weights, const BlockContext& context) {
  const Tensor grad_middle = ffn_backward_of_block(grad_streams, token_ids, saved, weights, context);
  saved.ffn_site = {};
  saved.ffn = {};
  const Tensor grad_input = attention_backward_of_block(grad_middle, saved, weights, context);
  saved = {};
  return grad_input;
}

}  // namespace temper
