#include "model/deepseek_v4/config_limits.h"

#include <gtest/gtest.h>

#include <limits>

#include "model/deepseek_v4/tensor_map.h"
#include "support/expect_error.h"
#include "support/tiny_model.h"

namespace temper {
namespace {

Json with(const char* key, const Json& value) {
  Json json = to_json(test::tiny_config());
  json[key] = value;
  return json;
}

TEST(ConfigLimits, EveryWholeNumberOfAConfigHasAnUpperBoundAndTheErrorNamesKeyAndValue) {
  for (const char* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim", "qk_rope_head_dim", "q_lora_rank", "o_groups", "o_lora_rank", "n_routed_experts",
                          "n_shared_experts", "num_experts_per_tok", "moe_intermediate_size", "num_hash_layers", "sliding_window", "index_n_heads", "index_head_dim", "index_topk", "hc_mult",
                          "hc_sinkhorn_iters", "max_position_embeddings", "num_nextn_predict_layers", "num_key_value_heads", "bos_token_id", "eos_token_id"}) {
    for (const Json& value : {Json(std::numeric_limits<int64_t>::max()), Json(std::numeric_limits<uint64_t>::max()), Json((int64_t{1} << 40) + 1), Json(std::numeric_limits<int64_t>::min())})
      EXPECT_ERROR(parse_model_config(with(key, value), "c.json"), ErrorKind::kConfig, key);
    if (std::string(key) != "max_position_embeddings" && std::string(key) != "sliding_window")
      EXPECT_ERROR(parse_model_config(with(key, 1000000000), "c.json"), ErrorKind::kConfig, "1000000000");
  }
}

TEST(ConfigLimits, NumbersWithAPointHaveBoundsToo) {
  for (const char* key : {"routed_scaling_factor", "swiglu_limit", "hc_eps", "rms_norm_eps", "rope_theta", "compress_rope_theta", "initializer_range"})
    for (const double value : {1e308, -1e308}) EXPECT_ERROR(parse_model_config(with(key, value), "c.json"), ErrorKind::kConfig, key);
  Json json = with("partial_rotary_factor", 1e300);
  json.erase("qk_rope_head_dim");
  EXPECT_ERROR(parse_model_config(json, "c.json"), ErrorKind::kConfig, "partial_rotary_factor = 1e+300 is not in [0, 1]");
}

TEST(ConfigLimits, RatiosAndTheirNumberAreBounded) {
  Json json = with("compress_ratios", Json::array({int64_t{1} << 62}));
  EXPECT_ERROR(parse_model_config(json, "c.json"), ErrorKind::kConfig, "compress_ratios");
  json.erase("compress_ratios");
  json["layer_types"] = {"sliding_attention"};
  json["num_nextn_predict_layers"] = std::numeric_limits<int64_t>::max() - 1;
  EXPECT_ERROR(parse_model_config(json, "c.json"), ErrorKind::kConfig, "num_nextn_predict_layers");
}

// Each number alone is allowed.
TEST(ConfigLimits, TheModelAsAWholeIsBounded) {
  Json json = with("n_routed_experts", 16384);
  json["num_hidden_layers"] = 1000;
  json["compress_ratios"] = std::vector<int64_t>(1001, 0);
  EXPECT_ERROR(parse_model_config(json, "c.json"), ErrorKind::kConfig, "tensors, at most 2000000 are handled");
  json = with("n_routed_experts", 16384);
  json["moe_intermediate_size"] = 262144;
  json["hidden_size"] = 65536;
  EXPECT_ERROR(parse_model_config(json, "c.json"), ErrorKind::kConfig, "the experts have 3.38e+15 parameters");
}

}  // namespace
}  // namespace temper
