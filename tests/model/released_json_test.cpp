// config.json of written weights: the released form, and everything else that the original said.
#include "model/deepseek_v4/released_json.h"

#include <gtest/gtest.h>

#include "support/all_layers_config.h"
#include "test_places.h"

namespace temper {
namespace {

const fs::path kGolden = fs::path(TEMPER_SOURCE_DIR) / "tests/golden";

TEST(ReleasedJson, KeepsEveryKeyThatItDoesNotKnow) {
  const ModelConfig config = test::all_layers_config();
  Json original = to_json(config);
  original["pad_token_id"] = 2;
  original["eos_token_id"] = {1, 7};
  original["bos_token_id"] = nullptr;
  original["auto_map"] = {{"AutoConfig", "configuration_x.C"}};
  original["note"] = "tuned by hand";
  original["rope_scaling"] = nullptr;
  EXPECT_EQ(released_json(config, original), original);
}

TEST(ReleasedJson, AnOtherFormGivesWayToTheReleasedKeysAndLeavesItsOwn) {
  const fs::path folder = kGolden / "dialects/transformers";
  const ModelConfig config = read_model_config(folder);
  const Json original = read_json(folder / "config.json"), json = released_json(config, original);
  for (const char* key : {"layer_types", "mlp_layer_types", "compress_rates", "rope_parameters"}) {
    EXPECT_TRUE(original.contains(key)) << key;
    EXPECT_FALSE(json.contains(key)) << key;
  }
  for (const char* key : {"router_jitter_noise", "transformers_version", "mlp_bias"}) EXPECT_EQ(json.at(key), original.at(key)) << key;
  EXPECT_EQ(to_json(parse_model_config(json, "")), to_json(config));
}

TEST(ReleasedJson, AModelWithoutMtpSaysSo) {
  const ModelConfig config = test::all_layers_config();
  const Json json = released_json(without_mtp(config), to_json(config));
  EXPECT_EQ(json.at("num_nextn_predict_layers"), 0);
  EXPECT_EQ(json.at("compress_ratios").size(), static_cast<size_t>(config.n_layers));
}

}  // namespace
}  // namespace temper
