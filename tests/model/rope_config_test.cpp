// rope_scaling and rope_parameters, against the tables that transformers' DeepSeek-V4 builds from the same keys
// (tools/oracle/rope_configs.py).
#include <gtest/gtest.h>

#include "model/deepseek_v4/config.h"
#include "ops/rope.h"
#include "support/expect_error.h"
#include "test_places.h"

namespace temper {
namespace {

const fs::path kSource(TEMPER_SOURCE_DIR);

Json config_with(const Json& base, const Json& keys) {
  Json json = read_json(kSource / "configs/model/v4_12m.json");
  json.update(base);
  json.update(keys);
  return json;
}

void expect_near(const std::vector<float>& ours, const Json& theirs, const std::string& name) {
  ASSERT_EQ(ours.size(), theirs.size()) << name;
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i], theirs[i].get<float>(), 4e-7 * theirs[i].get<float>()) << name << " " << i;   // a few roundings of fp32
}

TEST(RopeConfig, EveryFormIsReadAsTransformersReadsItOrRefusedAsItRefuses) {
  const Json golden = read_json(kSource / "tests/golden/rope_configs.json");
  for (const Json& entry : golden.at("cases")) {
    const std::string name = entry.at("name");
    const Json json = config_with(golden.at("base"), entry.at("keys"));
    if (entry.contains("error")) {
      EXPECT_THROW(parse_model_config(json, name), Error) << name;
      continue;
    }
    const ModelConfig config = parse_model_config(json, name);
    RopeConfig compress{.rope_head_dim = config.rope_head_dim, .theta = config.compress_rope_theta, .yarn = {}};
    if (const YarnConfig& y = config.yarn; y.enabled())
      compress.yarn = Yarn{.factor = y.factor, .original_length = static_cast<double>(y.original_max_positions), .beta_fast = y.beta_fast, .beta_slow = y.beta_slow};
    expect_near(rope_frequencies({.rope_head_dim = config.rope_head_dim, .theta = config.rope_theta, .yarn = {}}), entry.at("main"), name + ", main");
    expect_near(rope_frequencies(compress), entry.at("compress"), name + ", compress");
  }
}

// What transformers would compute with, and this program does not.
TEST(RopeConfig, WhatWouldChangeTheModelIsRefusedByItsKey) {
  const Json base = {{"head_dim", 64}, {"qk_rope_head_dim", 16}};
  const auto expect = [&](const char* key, const Json& value, const std::string& message) {
    EXPECT_ERROR(parse_model_config(config_with(base, {{key, value}}), "c.json"), ErrorKind::kConfig, message);
  };
  Json yarn = {{"rope_type", "yarn"}, {"rope_theta", 160000}, {"factor", 16}, {"original_max_position_embeddings", 256}};
  const Json main = {{"rope_type", "default"}, {"rope_theta", 10000}};
  expect("rope_scaling", {{"factor", 16}, {"original_max_position_embeddings", 256}}, "there is a factor, but no rope_type");
  expect("rope_scaling", {{"type", "linear"}, {"factor", 4}}, "rope_type is \"linear\"");
  expect("rope_parameters", {{"main", main}}, "there is \"main\" without \"compress\"");
  expect("rope_parameters", {{"main", main}, {"compress", yarn}}, "attention_factor is 1.277 by default");
  expect("rope_parameters", {{"main", yarn}, {"compress", yarn}}, "rope_type is \"yarn\"");
  yarn["attention_factor"] = 1.3;
  expect("rope_scaling", yarn, "attention_factor is 1.3");
  yarn["attention_factor"] = 1.0;
  yarn["partial_rotary_factor"] = 0.5;
  expect("rope_parameters", {{"main", main}, {"compress", yarn}}, "partial_rotary_factor rotates 32 of 64 dims");
  yarn["truncate"] = false;
  expect("rope_scaling", yarn, "truncate is false");
  yarn["original_max_position_embeddings"] = 256.5;
  expect("rope_scaling", yarn, "original_max_position_embeddings = 256.5");
}

}  // namespace
}  // namespace temper
