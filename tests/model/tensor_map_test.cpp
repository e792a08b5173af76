#include "model/deepseek_v4/tensor_map.h"

#include <gtest/gtest.h>

#include <set>

#include "support/expect_error.h"
#include "test_places.h"

namespace temper {
namespace {

ModelConfig released(const std::string& name) {
  return read_model_config(fs::path(TEMPER_SOURCE_DIR) / "configs/model" / name);
}

struct Totals {
  int64_t n_tensors = 0, n_elements = 0, n_bytes = 0;
};
Totals totals(const ModelConfig& config) {
  Totals sum;
  for (const StoredTensor& tensor : stored_tensors(config)) {
    ++sum.n_tensors;
    sum.n_elements += static_cast<int64_t>(*element_count(tensor.shape));
    sum.n_bytes += static_cast<int64_t>(tensor.bytes);
  }
  return sum;
}

int64_t parameters(const ModelConfig& config, bool mtp) {
  int64_t n = 0;
  for (const TensorRow& row : tensor_map(config))
    if (!row.holds_ids() && (mtp || row.layer < config.n_layers)) n += row.numel();
  return n;
}

// Counts of the released files and of the parameter table (docs/deepseek_v4.md).
TEST(TensorMap, GivesTheReleasedTotalsOfFlash) {
  const ModelConfig flash = released("deepseek_v4_flash.json");
  const Totals sum = totals(flash);
  EXPECT_EQ(sum.n_tensors, 69187);
  EXPECT_EQ(sum.n_elements, 158069433298);
  EXPECT_EQ(sum.n_bytes, 159609485896);
  EXPECT_EQ(parameters(flash, true), 290942289362);
  EXPECT_EQ(parameters(flash, false), 284332240471);
}

TEST(TensorMap, GivesTheReleasedTotalsOfPro) {
  const ModelConfig pro = released("deepseek_v4_pro.json");
  const Totals sum = totals(pro);
  EXPECT_EQ(sum.n_tensors, 145116);
  EXPECT_EQ(sum.n_elements, 861608274846);
  EXPECT_EQ(sum.n_bytes, 864704792696);
  EXPECT_EQ(parameters(pro, true), 1598837347742);
  EXPECT_EQ(parameters(pro, false), 1572997201763);
}

TEST(TensorMap, NamesAreUnique) {
  std::set<std::string> names;
  for (const StoredTensor& tensor : stored_tensors(released("v4_100m.json"))) EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
}

TEST(ModelConfig, ReadsBackWhatItWrites) {
  for (const char* name : {"deepseek_v4_flash.json", "deepseek_v4_pro.json", "v4_12m.json"}) {
    const ModelConfig config = released(name);
    EXPECT_EQ(to_json(parse_model_config(to_json(config), "round trip")), to_json(config)) << name;
  }
}

TEST(ModelConfig, ReadsTheFormThatTransformersWrites) {
  Json json = to_json(released("v4_12m.json"));
  for (const char* key : {"compress_ratios", "num_hash_layers", "rope_theta", "compress_rope_theta"}) json.erase(key);
  json["layer_types"] = {"sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention",
                         "compressed_sparse_attention", "heavily_compressed_attention", "compressed_sparse_attention"};
  json["mlp_layer_types"] = {"hash_moe", "moe", "moe", "moe", "moe", "moe"};
  json["rope_parameters"] = {{"main", {{"rope_type", "default"}, {"rope_theta", 10000.0}}},
                             {"compress", {{"rope_type", "default"}, {"rope_theta", 160000.0}}}};
  EXPECT_EQ(to_json(parse_model_config(json, "x")), to_json(released("v4_12m.json")));
}

TEST(ModelConfig, NamesTheKeyThatIsMissingOrWrong) {
  const Json good = to_json(released("v4_12m.json"));
  const auto with = [&](const char* key, const Json& value) {
    Json json = good;
    if (value.is_null()) json.erase(key);
    else json[key] = value;
    return json;
  };
  EXPECT_ERROR(parse_model_config(with("head_dim", nullptr), "c.json"), ErrorKind::kConfig, "head_dim");
  EXPECT_ERROR(parse_model_config(with("head_dim", "64"), "c.json"), ErrorKind::kConfig, "whole number");
  EXPECT_ERROR(parse_model_config(with("o_groups", 3), "c.json"), ErrorKind::kConfig, "does not divide");
  EXPECT_ERROR(parse_model_config(with("compress_ratios", {0, 4}), "c.json"), ErrorKind::kConfig, "compress_ratios");
  EXPECT_ERROR(parse_model_config(with("compress_ratios", {0, 4, 64, 4, 128, 4, 0}), "c.json"), ErrorKind::kConfig, "compress_ratios[2]");
  EXPECT_ERROR(parse_model_config(with("model_type", "llama"), "c.json"), ErrorKind::kConfig, "llama");
  EXPECT_ERROR(parse_model_config(with("num_experts_per_tok", 17), "c.json"), ErrorKind::kConfig, "17 experts per token");
}

}  // namespace
}  // namespace temper
