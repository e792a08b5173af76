#include "model/deepseek_v4/config_limits.h"

#include <fmt/format.h>

namespace temper {
namespace {

template <class T> struct Limit {
  const char* key;
  T ModelConfig::* member;
  T min, max;
};

constexpr Limit<int64_t> kWholeNumbers[] = {
    {"vocab_size", &ModelConfig::vocab_size, 1, 1 << 24},
    {"hidden_size", &ModelConfig::hidden_size, 1, 1 << 16},
    {"num_hidden_layers", &ModelConfig::n_layers, 1, 1024},
    {"num_attention_heads", &ModelConfig::n_heads, 1, 1024},
    {"head_dim", &ModelConfig::head_dim, 1, 4096},
    {"qk_rope_head_dim", &ModelConfig::rope_head_dim, 0, 4096},
    {"q_lora_rank", &ModelConfig::q_lora_rank, 1, 1 << 16},
    {"o_groups", &ModelConfig::o_groups, 1, 1024},
    {"o_lora_rank", &ModelConfig::o_lora_rank, 1, 1 << 16},
    {"n_routed_experts", &ModelConfig::n_routed_experts, 1, 1 << 14},
    {"num_experts_per_tok", &ModelConfig::top_k, 1, 1024},
    {"moe_intermediate_size", &ModelConfig::moe_intermediate_size, 1, 1 << 18},
    {"num_hash_layers", &ModelConfig::n_hash_layers, 0, 1024},
    {"sliding_window", &ModelConfig::sliding_window, 1, 1 << 30},
    {"index_n_heads", &ModelConfig::index_n_heads, 1, 1024},
    {"index_head_dim", &ModelConfig::index_head_dim, 1, 4096},
    {"index_topk", &ModelConfig::index_top_k, 1, 1 << 24},
    {"hc_mult", &ModelConfig::hc_mult, 1, 64},
    {"hc_sinkhorn_iters", &ModelConfig::hc_sinkhorn_iters, 1, 1000},
    {"max_position_embeddings", &ModelConfig::max_positions, 1, kLargestConfigNumber},
    {"num_nextn_predict_layers", &ModelConfig::n_mtp_layers, 0, 64},
    {"bos_token_id", &ModelConfig::bos_id, -1, 1 << 24},
    {"eos_token_id", &ModelConfig::eos_id, -1, 1 << 24},
};

constexpr Limit<double> kNumbers[] = {
    {"routed_scaling_factor", &ModelConfig::routed_scaling_factor, -1e6, 1e6},
    {"swiglu_limit", &ModelConfig::swiglu_limit, 0, 1e30},
    {"hc_eps", &ModelConfig::hc_eps, 0, 1},
    {"rms_norm_eps", &ModelConfig::rms_norm_eps, 0, 1},
    {"rope_theta", &ModelConfig::rope_theta, 1e-6, 1e18},
    {"compress_rope_theta", &ModelConfig::compress_rope_theta, 1e-6, 1e18},
    {"initializer_range", &ModelConfig::initializer_range, 0, 1e3},
};

constexpr double kMostParameters = 1e15, kMostTensors = 2e6;   // Pro has 1.6e12 and 1.5e5

template <class T> void check_one(const char* key, T value, T min, T max, const std::string& where) {
  if (value >= min && value <= max) return;
  throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("{} = {} is not in [{}, {}]", key, value, min, max), .where = where,
               .fix = "correct this key: it is outside of what any DeepSeek-V4 model has"});
}

}  // namespace

void check_limits(const ModelConfig& c, const std::string& where) {
  for (const auto& limit : kWholeNumbers) check_one(limit.key, c.*limit.member, limit.min, limit.max, where);
  for (const auto& limit : kNumbers) check_one(limit.key, c.*limit.member, limit.min, limit.max, where);
  if (c.yarn.enabled()) {
    check_one("rope_scaling.factor", c.yarn.factor, 0.0, 1e6, where);
    check_one("rope_scaling.original_max_position_embeddings", c.yarn.original_max_positions, int64_t{1}, kLargestConfigNumber, where);
    check_one("rope_scaling.beta_fast", c.yarn.beta_fast, 1e-6, 1e6, where);
    check_one("rope_scaling.beta_slow", c.yarn.beta_slow, 1e-6, 1e6, where);
  }
  // Each is allowed, all at once need not be.
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const double blocks = number(c.n_layers + c.n_mtp_layers), experts = number(c.n_routed_experts);
  const auto refuse = [&](const std::string& what) {
    throw Error({.kind = ErrorKind::kConfig, .what = what, .where = where, .fix = "correct num_hidden_layers, n_routed_experts, hidden_size and moe_intermediate_size"});
  };
  if (const double n = blocks * experts * 3; n > kMostTensors)
    refuse(fmt::format("{} layers of {} experts make {:.0f} tensors, at most {:.0f} are handled", blocks, c.n_routed_experts, n, kMostTensors));
  if (const double n = blocks * experts * 3 * number(c.moe_intermediate_size) * number(c.hidden_size); n > kMostParameters)
    refuse(fmt::format("the experts have {:.3g} parameters, at most {:.3g} are handled", n, kMostParameters));
}

}  // namespace temper
