#include "model/deepseek_v4/released_json.h"

#include <algorithm>
#include <string_view>

namespace temper {
namespace {

// A key of another form, and the released key that says the same.
struct OtherSpelling {
  std::string_view theirs;
  const char* released;
};
constexpr OtherSpelling kOtherSpellings[] = {
    // transformers
    {"num_local_experts", "n_routed_experts"}, {"intermediate_size", "moe_intermediate_size"}, {"partial_rotary_factor", "qk_rope_head_dim"},
    {"layer_types", "compress_ratios"}, {"compress_rates", "compress_ratios"}, {"compress_rate_csa", "compress_ratios"}, {"compress_rate_hca", "compress_ratios"},
    {"mlp_layer_types", "num_hash_layers"},
    // the official inference code
    {"dim", "hidden_size"}, {"n_layers", "num_hidden_layers"}, {"n_heads", "num_attention_heads"}, {"rope_head_dim", "qk_rope_head_dim"},
    {"window_size", "sliding_window"}, {"n_activated_experts", "num_experts_per_tok"}, {"moe_inter_dim", "moe_intermediate_size"},
    {"n_hash_layers", "num_hash_layers"}, {"route_scale", "routed_scaling_factor"}, {"norm_eps", "rms_norm_eps"},
    {"max_seq_len", "max_position_embeddings"}, {"n_mtp_layers", "num_nextn_predict_layers"}, {"score_func", "scoring_func"},
    {"scale_fmt", "quantization_config"}, {"rope_factor", "rope_scaling"}, {"original_seq_len", "rope_scaling"}, {"beta_fast", "rope_scaling"}, {"beta_slow", "rope_scaling"}};

// Facts of the weights, which may differ from those of the original.
constexpr const char* kOfTheseWeights[] = {"num_nextn_predict_layers", "compress_ratios", "quantization_config", "expert_dtype"};
constexpr const char* kRotary[] = {"rope_theta", "compress_rope_theta", "rope_scaling"};

bool has(const Json& json, const std::string& key) { return json.contains(key) && !json[key].is_null(); }

bool is_other_spelling(const Json& original, const std::string& key) {
  return std::any_of(std::begin(kOtherSpellings), std::end(kOtherSpellings),
                     [&](const OtherSpelling& spelling) { return spelling.theirs == key && !has(original, spelling.released); });
}

}  // namespace

ModelConfig without_mtp(ModelConfig config) {
  config.n_mtp_layers = 0;
  config.compress_ratios.resize(static_cast<size_t>(config.n_layers));
  return config;
}

Json released_json(const ModelConfig& config, const Json& original) {
  const Json ours = to_json(config);
  Json json = Json::object();
  for (const auto& [key, value] : original.items())
    if (key != "rope_parameters" && !is_other_spelling(original, key)) json[key] = value;
  const auto take_ours = [&](const char* key) {
    if (ours.contains(key)) json[key] = ours[key];
    else json.erase(key);
  };
  for (const auto& [key, value] : ours.items())
    if (!has(json, key) && !(json.contains(key) && key.ends_with("_token_id"))) json[key] = value;   // "no such token" is null
  for (const char* key : kOfTheseWeights) take_ours(key);
  if (has(original, "rope_parameters") || has(original, "rope_factor"))
    for (const char* key : kRotary) take_ours(key);
  if (to_json(parse_model_config(json, "config.json")) != ours)
    throw Error({.kind = ErrorKind::kInternal, .what = "the config.json to write does not say what this model is", .where = "released_json", .fix = "please report this with the model's config.json"});
  return json;
}

}  // namespace temper
