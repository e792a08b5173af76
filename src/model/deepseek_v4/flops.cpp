#include "model/deepseek_v4/flops.h"

#include <algorithm>

namespace temper {
namespace {

// Sums over the tokens of one document of S tokens.
double window_sum(double S, double w) { return S < w ? S * (S + 1) / 2 : w * (w + 1) / 2 + (S - w) * w; }

// Token t sees floor((t + 1) / r) entries.
double entries_sum(int64_t S, int64_t r) {
  const double q = static_cast<double>(S / r), rest = static_cast<double>(S % r), ratio = static_cast<double>(r);
  return ratio * q * (q - 1) / 2 + q * (rest + 1);
}

double capped_entries_sum(int64_t S, int64_t r, int64_t k) {
  if (k >= S / r) return entries_sum(S, r);
  const double cap = static_cast<double>(k), ratio = static_cast<double>(r);
  return ratio * cap * (cap - 1) / 2 + cap * (static_cast<double>(S) - ratio * cap + 1);
}

// The config's numbers as floating point, under the letters of docs/naming.md.
struct Sizes {
  explicit Sizes(const ModelConfig& c)
      : V(c.vocab_size), D(c.hidden_size), Q(c.q_lora_rank), H(c.n_heads), C(c.head_dim), G(c.o_groups), O(c.o_lora_rank), E(c.n_routed_experts),
        K(c.top_k), F(c.moe_intermediate_size), M(c.hc_mult), IH(c.index_n_heads), IC(c.index_head_dim) {}
  double V, D, Q, H, C, G, O, E, K, F, M, IH, IC;

  double projections() const { return 2 * (D * Q + Q * H * C + D * C + H * C * O + G * O * D); }
  double core(double entries) const { return 4 * H * C * entries; }
  double routed() const { return 6 * D * F * K; }
  double shared() const { return 6 * D * F; }
  double router() const { return 2 * E * D; }
  double mixing() const { return 2 * (2 * (2 + M) * M * M * D); }   // two sites
  double mixing_head() const { return 2 * M * M * D; }
  double head() const { return 2 * V * D; }
  double index_projections() const { return 2 * (Q * IH * IC + IH * D + 4 * IC * D); }
  double index_scores() const { return 2 * IH * IC; }
};

}  // namespace

AttendedEntries attended_entries(const ModelConfig& config, const std::vector<int64_t>& document_lengths) {
  AttendedEntries sum;
  double n_tokens = 0;
  for (const int64_t S : document_lengths) {
    n_tokens += static_cast<double>(S);
    sum.window += window_sum(static_cast<double>(S), static_cast<double>(config.sliding_window));
    sum.csa_visible += entries_sum(S, 4);
    sum.csa_selected += capped_entries_sum(S, 4, config.index_top_k);
    sum.hca += entries_sum(S, 128);
  }
  return {sum.window / n_tokens, sum.csa_visible / n_tokens, sum.csa_selected / n_tokens, sum.hca / n_tokens};
}

SublayerFlops sublayer_flops(const ModelConfig& config, const std::vector<int64_t>& document_lengths, int64_t n) {
  const Sizes s(config);
  const AttendedEntries entries = attended_entries(config, document_lengths);
  SublayerFlops flops{.attention = s.projections() + s.core(entries.window) + s.mixing() / 2, .ffn = s.routed() + s.shared() + s.router() + s.mixing() / 2};
  if (config.compress_ratio(n) == 4)
    flops.attention += 8 * s.D * s.C + s.core(entries.csa_selected) + s.index_projections() + s.index_scores() * entries.csa_visible;
  if (config.compress_ratio(n) == 128) flops.attention += 4 * s.D * s.C + s.core(entries.hca);
  return flops;
}

FlopsPerToken flops_per_token(const ModelConfig& config, const std::vector<int64_t>& document_lengths, const FlopsOptions& options) {
  const Sizes s(config);
  AttendedEntries entries = attended_entries(config, document_lengths);
  if (options.dense_attention) entries.csa_selected = entries.csa_visible;
  const double L = static_cast<double>(config.n_layers);
  const auto n_of = [&](int64_t ratio) { return static_cast<double>(std::count(config.compress_ratios.begin(), config.compress_ratios.begin() + config.n_layers, ratio)); };
  const double n_csa = n_of(4), n_hca = n_of(128);

  FlopsPerToken result;
  const auto add = [&](const char* name, double forward, double training) {
    result.components.push_back({name, forward, training});
    result.forward += forward;
    result.training += training;
  };
  const auto dense = [&](const char* name, double forward) { add(name, forward, 3 * forward); };   // backward: two products of the same size

  dense("attention projections", L * s.projections());
  dense("compressors", (n_csa * 8 + n_hca * 4) * s.D * s.C);
  // The indexer's inputs are detached: no product for the gradient of its input.  Its loss looks at the selected entries.
  const double index_projections = n_csa * s.index_projections();
  add("indexer projections", index_projections, (options.indexer_trained ? 2 : 1) * index_projections);
  const double scores = n_csa * s.index_scores();
  add("indexer scores", scores * entries.csa_visible, scores * entries.csa_visible + (options.indexer_trained ? 2 * scores * entries.csa_selected : 0));
  dense("attention core: window", L * s.core(entries.window));
  dense("attention core: CSA", n_csa * s.core(entries.csa_selected));
  dense("attention core: HCA", n_hca * s.core(entries.hca));
  dense("routed experts", L * s.routed());
  dense("shared experts", L * s.shared());
  dense("routers", L * s.router());
  dense("hyper-connections", L * s.mixing() + s.mixing_head());
  dense("LM head", s.head());
  if (options.mtp && config.n_mtp_layers > 0) {
    const double block = s.projections() + s.core(entries.window) + s.routed() + s.shared() + s.router() + s.mixing() + s.mixing_head();
    const double joins = 2 * s.D * s.D + 2 * s.M * s.D * s.D;   // e_proj once, h_proj for every stream
    dense("MTP with its head", static_cast<double>(config.n_mtp_layers) * (block + joins + s.head()));
  }
  return result;
}

}  // namespace temper
