// The releases are told apart, and every layout that is none of them is refused by its first difference.
#include "model/deepseek_v4/release.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "support/dspark_model.h"
#include "support/expect_error.h"
#include "support/tiny_model.h"
#include "test_places.h"

namespace temper {
namespace {

using namespace test;
using Infos = std::vector<TensorHead>;
using Stored = std::vector<StoredTensor>;

Infos heads(const Stored& tensors) {
  Infos list;
  for (const StoredTensor& tensor : tensors) list.push_back({tensor.name, std::string(stored_dtype_name(tensor.dtype)), tensor.shape});
  return list;
}
Release recognise(const Json& config, const Infos& infos) {
  const ModelConfig main = parse_model_config(config, "config.json");
  return recognise_release(main, parse_dspark_config(config, main), infos, "here");
}

ModelConfig released(const std::string& name) { return read_model_config(fs::path(TEMPER_SOURCE_DIR) / "configs/model" / ("deepseek_v4_" + name + ".json")); }
// The released config.json with the keys of Flash-0731 and Pro-0813.
DsparkModel with_released_dspark(const std::string& name) { return with_dspark(released(name), 3, name == "flash" ? 256 : 512, 128799); }

struct Totals {
  int64_t n_tensors = 0, n_bytes = 0, n_elements = 0;
};
Totals totals_of(const Stored& tensors, const std::string& prefix = "") {
  Totals totals;
  for (const StoredTensor& tensor : tensors) {
    if (!tensor.name.starts_with(prefix)) continue;
    ++totals.n_tensors;
    totals.n_bytes += static_cast<int64_t>(tensor.bytes);
    totals.n_elements += static_cast<int64_t>(*element_count(tensor.shape));
  }
  return totals;
}
std::map<std::string, int> dtypes_of(const Stored& tensors, const std::string& prefix = "") {
  std::map<std::string, int> n;
  for (const StoredTensor& tensor : tensors)
    if (tensor.name.starts_with(prefix)) ++n[std::string(stored_dtype_name(tensor.dtype))];
  return n;
}
int64_t parameters_of_drafter(const DsparkModel& model) {
  int64_t n = 0;
  for (const TensorRow& row : dspark_map(model.main, model.dspark)) n += row.numel();
  return n;
}

// Published: number of tensors and data bytes of the folders; the stages' counts and dtypes come from their headers.
TEST(Release, TheDsparkReleasesHaveTheirPublishedCountsBytesAndDtypes) {
  const DsparkModel flash = with_released_dspark("flash"), pro = with_released_dspark("pro");
  const Stored f = flash.tensors(), p = pro.tensors();
  EXPECT_EQ(totals_of(f).n_tensors, 72317);
  EXPECT_EQ(totals_of(f).n_bytes, 166878536440);
  EXPECT_EQ(totals_of(f).n_elements, 165265454782);
  EXPECT_EQ(totals_of(f, "mtp.").n_tensors, 4705);
  EXPECT_EQ(totals_of(f, "mtp.").n_bytes, 10862838300);
  EXPECT_EQ(parameters_of_drafter(flash), 19845850983);
  EXPECT_EQ(totals_of(f, "mtp.0.").n_tensors, 1568);
  EXPECT_EQ(totals_of(f, "mtp.1.").n_tensors, 1565);
  EXPECT_EQ(totals_of(f, "mtp.2.").n_tensors, 1572);
  EXPECT_EQ(totals_of(f, "mtp.0.").n_bytes, 3610287448);
  EXPECT_EQ(totals_of(f, "mtp.1.").n_bytes, 3559944536);
  EXPECT_EQ(totals_of(f, "mtp.2.").n_bytes, 3692606316);
  EXPECT_EQ(dtypes_of(f, "mtp."), (std::map<std::string, int>{{"I8", 2304}, {"F8_E8M0", 2329}, {"F8_E4M3", 25}, {"BF16", 20}, {"F32", 27}}));

  EXPECT_EQ(totals_of(p).n_tensors, 149782);
  EXPECT_EQ(totals_of(p).n_bytes, 892727580904);
  EXPECT_EQ(totals_of(p).n_elements, 889484881098);
  EXPECT_EQ(totals_of(p, "mtp.").n_tensors, 7009);
  EXPECT_EQ(totals_of(p, "mtp.").n_bytes, 41979375900);
  EXPECT_EQ(parameters_of_drafter(pro), 77498408103);
  EXPECT_EQ(totals_of(p, "mtp.0.").n_bytes, 14007483608);
  EXPECT_EQ(totals_of(p, "mtp.1.").n_bytes, 13853319192);
  EXPECT_EQ(totals_of(p, "mtp.2.").n_bytes, 14118573100);
  EXPECT_EQ(dtypes_of(p), (std::map<std::string, int>{{"BF16", 631}, {"F32", 606}, {"F8_E4M3", 543}, {"F8_E8M0", 74271}, {"I64", 3}, {"I8", 73728}}));
}

TEST(Release, TheMainPartOfADsparkReleaseIsThatOfTheFirstRelease) {
  for (const std::string name : {"flash", "pro"}) {
    const DsparkModel model = with_released_dspark(name);
    const Stored main = stored_tensors(model.main);
    EXPECT_EQ(totals_of(main).n_tensors, name == "flash" ? 67612 : 142773);
    EXPECT_EQ(totals_of(main).n_bytes, name == "flash" ? 156015698140 : 850748205004);
    EXPECT_EQ(tensor_map(parse_model_config(model.config(), "config.json")).size(), tensor_map(model.main).size());   // what is computed with
  }
}

TEST(Release, TheConfigOfADsparkReleaseDescribesTheMainModelAndTheDrafter) {
  const Json json = with_released_dspark("flash").config();
  EXPECT_EQ(json.at("compress_ratios").size(), 46u);
  EXPECT_EQ(json.at("num_nextn_predict_layers"), 1);
  EXPECT_EQ(json.at("dspark_target_layer_ids"), Json({40, 41, 42}));
  const ModelConfig main = parse_model_config(json, "config.json");
  EXPECT_EQ(main.n_mtp_layers, 0);
  EXPECT_EQ(main.compress_ratios.size(), 43u);
  const std::optional<DsparkConfig> dspark = parse_dspark_config(json, main);
  ASSERT_TRUE(dspark);
  EXPECT_EQ(dspark->fault, "");
  EXPECT_EQ(dspark->n_stages(), 3);
  EXPECT_EQ(*dspark->surplus_ratios, (std::vector<int64_t>{0, 0, 0}));
  EXPECT_FALSE(parse_dspark_config(to_json(main), main));
}

Stored renamed_base(const ModelConfig& config) {
  Stored tensors = stored_tensors(config);
  for (const char* name : {"mtp.0.emb.tok_emb.weight", "mtp.0.head.weight"})
    tensors.push_back({.name = name, .dtype = StoredDtype::kBF16, .shape = {config.vocab_size, config.hidden_size}});
  return tensors;
}
ModelConfig quantised(ModelConfig config) {
  config.quantized = true;
  config.expert_encoding = Encoding::kFp4Block32;
  return config;
}
ModelConfig base_of(ModelConfig config) {
  config.quantized = true;
  config.expert_encoding = Encoding::kFp8Block128;
  config.scales_are_e8m0 = false;
  return config;
}

TEST(Release, IsNamedByConfigNamesAndDtypes) {
  const auto name_of = [](const Json& config, const Stored& tensors) { return recognise(config, heads(tensors)).name; };
  const ModelConfig flash = released("flash"), pro = released("pro");
  const DsparkModel flash_dspark = with_released_dspark("flash"), pro_dspark = with_released_dspark("pro");
  EXPECT_EQ(name_of(to_json(flash), stored_tensors(flash)), "DeepSeek-V4-Flash (preview)");
  EXPECT_EQ(name_of(to_json(pro), stored_tensors(pro)), "DeepSeek-V4-Pro (preview)");
  EXPECT_EQ(name_of(flash_dspark.config(), flash_dspark.tensors()), "DeepSeek-V4-Flash with DSpark drafter (0731 or DSpark release)");
  EXPECT_EQ(name_of(pro_dspark.config(), pro_dspark.tensors()), "DeepSeek-V4-Pro with DSpark drafter (0813 or DSpark release)");
  EXPECT_EQ(name_of(to_json(base_of(flash)), renamed_base(base_of(flash))), "DeepSeek-V4-Flash-Base");
  EXPECT_EQ(renamed_base(base_of(flash)).size(), 69189u);   // published
  EXPECT_EQ(totals_of(renamed_base(base_of(flash))).n_elements, 292021347282);
  EXPECT_EQ(name_of(to_json(flash), stored_tensors(without_mtp(flash))), "DeepSeek-V4-Flash without MTP");
  EXPECT_EQ(name_of(flash_dspark.config(), stored_tensors(without_mtp(flash))), "DeepSeek-V4-Flash with leftover DSpark keys");

  const ModelConfig tiny = tiny_config();
  DsparkModel mini = with_dspark(tiny, 3, 8, 47);
  EXPECT_EQ(name_of(mini.config(), mini.tensors()), "DeepSeek-V4 with DSpark drafter (miniature), bf16 copy");
  mini.main = quantised(mini.main);
  EXPECT_EQ(name_of(mini.config(), mini.tensors()), "DeepSeek-V4 with DSpark drafter (miniature)");
  EXPECT_EQ(name_of(to_json(base_of(tiny)), renamed_base(base_of(tiny))), "DeepSeek-V4-Base (miniature)");
  EXPECT_EQ(name_of(to_json(tiny), stored_tensors(without_mtp(tiny))), "DeepSeek-V4 without MTP (miniature), bf16 copy");
}

TEST(Release, SaysWhatHappensToTheDrafter) {
  const ModelConfig tiny = tiny_config();
  const DsparkModel mini = with_dspark(tiny, 2, 8, 47);
  const Infos main = heads(stored_tensors(without_mtp(tiny)));
  const auto says = [](const Release& release) { return std::string(drafter_kind_name(release.drafter)) + " " + release.drafter_action; };
  EXPECT_EQ(says(recognise(mini.config(), heads(mini.tensors()))), "dspark carried");
  EXPECT_EQ(recognise(mini.config(), heads(mini.tensors())).n_stages, 2);
  EXPECT_EQ(says(recognise(to_json(tiny), heads(stored_tensors(tiny)))), "mtp computed");
  EXPECT_EQ(says(recognise(to_json(tiny), main)), "none none");
  EXPECT_EQ(says(recognise(mini.config(), main)), "none leftover keys dropped");
}

TEST(Release, ADrafterMayHaveAVocabularyOfItsOwnAndAnotherStorage) {
  const DsparkModel mini = with_dspark(tiny_config(), 3, 8, 47);
  const std::vector<int64_t> vocabulary = {mini.main.vocab_size, mini.main.hidden_size};
  for (const char* embed : {"mtp.0.embed.weight", "mtp.0.emb.tok_emb.weight"}) {
    Infos infos = heads(mini.tensors());
    infos.push_back({embed, "BF16", vocabulary});
    infos.push_back({"mtp.2.head.weight", "BF16", vocabulary});
    EXPECT_TRUE(recognise(mini.config(), infos).own_vocabulary);
  }
  Infos mixed = heads(stored_tensors(mini.main));
  for (const TensorHead& info : heads(stored_tensors(quantised(mini.main), mini.dspark)))
    if (info.name.starts_with("mtp.")) mixed.push_back(info);
  EXPECT_EQ(recognise(mini.config(), mixed).drafter, DrafterKind::kDspark);   // bf16 main weights, the released drafter
}

// What is wrong with a folder: how it is made from a right one, and what the message must name.
struct Fault {
  const char* what;
  std::function<void(Json& config, Infos& infos)> make;
  const char* named;
};

Infos without(const Infos& infos, const std::string& prefix) {
  Infos left;
  for (const TensorHead& info : infos)
    if (!info.name.starts_with(prefix)) left.push_back(info);
  return left;
}
TensorHead& at_name(Infos& infos, const std::string& name) {
  return *std::ranges::find_if(infos, [&](const auto& info) { return info.name == name; });
}

TEST(Release, EveryOtherLayoutIsRefusedByItsFirstDifference) {
  const DsparkModel right = with_dspark(quantised(tiny_config()), 3, 8, 47);
  const std::vector<Fault> faults = {
      {"a stage in the middle is missing", [](Json&, Infos& t) { t = without(t, "mtp.1."); }, "lacks stage mtp.1"},
      {"the last stage is missing", [](Json&, Infos& t) { t = without(t, "mtp.2."); }, "lacks stage mtp.2"},
      {"the first stage is missing", [](Json&, Infos& t) { t = without(t, "mtp.0."); }, "lacks stage mtp.0"},
      {"a stage too many", [](Json&, Infos& t) { t.push_back({"mtp.3.attn_norm.weight", "BF16", {160}}); }, "mtp.3.attn_norm.weight is of stage 3"},
      {"L + 1 ratios with 3 stages", [](Json& c, Infos&) { c["compress_ratios"] = {0, 4, 128, 0}; }, "4 compress_ratios for 3 layers and 3 stages of the drafter: needed are 6"},
      {"L ratios with 3 stages", [](Json& c, Infos&) { c["compress_ratios"] = {0, 4, 128}; }, "3 compress_ratios for 3 layers and 3 stages"},
      {"a surplus ratio that is not 0", [](Json& c, Infos&) { c["compress_ratios"] = {0, 4, 128, 0, 4, 0}; }, "compress_ratios[4] = 4 belongs to stage 1"},
      {"two layers to read for three stages", [](Json& c, Infos&) { c["dspark_target_layer_ids"] = {1, 2}; }, "dspark_target_layer_ids lists 2 layers for 3 stages"},
      {"a layer to read that is not there", [](Json& c, Infos&) { c["dspark_target_layer_ids"] = {1, 2, 3}; }, "dspark_target_layer_ids has 3"},
      {"a layer to read twice", [](Json& c, Infos&) { c["dspark_target_layer_ids"] = {1, 1, 2}; }, "dspark_target_layer_ids has 1 after 1"},
      {"another rank", [](Json& c, Infos&) { c["dspark_markov_rank"] = 16; }, "mtp.2.markov_head.markov_w1.weight is BF16 [48, 8], the drafter of this model needs BF16 [48, 16]"},
      {"a rank of 0", [](Json& c, Infos&) { c["dspark_markov_rank"] = 0; }, "dspark_markov_rank = 0 must be positive"},
      {"a rank that is a string", [](Json& c, Infos&) { c["dspark_markov_rank"] = "8"; }, "dspark_markov_rank = \"8\" must be a whole number"},
      {"a noise token outside of the vocabulary", [](Json& c, Infos&) { c["dspark_noise_token_id"] = 48; }, "dspark_noise_token_id = 48"},
      {"a key is missing", [](Json& c, Infos&) { c.erase("dspark_block_size"); }, "\"dspark_block_size\" is missing"},
      {"num_nextn_predict_layers counts stages", [](Json& c, Infos&) { c["num_nextn_predict_layers"] = 3; }, "num_nextn_predict_layers = 3"},
      {"an extra tensor", [](Json&, Infos& t) { t.push_back({"mtp.1.attn.extra.weight", "BF16", {4}}); }, "mtp.1.attn.extra.weight is not a tensor"},
      {"one tensor in two spellings", [](Json&, Infos& t) { t.push_back({"mtp.0.main_norm.weight", "BF16", {160}}); }, "mtp.0.main_norm.weight is there twice"},
      {"an extra scale", [](Json&, Infos& t) { t.push_back({"mtp.2.markov_head.markov_w1.scale", "F8_E8M0", {1, 1}}); }, "mtp.2.markov_head.markov_w1.scale is not a tensor"},
      {"a compressor in a stage", [](Json&, Infos& t) { t.push_back({"mtp.0.attn.compressor.ape", "F32", {4, 64}}); }, "mtp.0.attn.compressor.ape"},
      {"a tensor under mtp. without a stage", [](Json&, Infos& t) { t.push_back({"mtp.norm.weight", "BF16", {160}}); }, "mtp.norm.weight"},
      {"a missing tensor", [](Json&, Infos& t) { t = without(t, "mtp.1.ffn.gate.bias"); }, "mtp.1.ffn.gate.bias is missing"},
      {"a missing scale", [](Json&, Infos& t) { t = without(t, "mtp.1.attn.wkv.scale"); }, "mtp.1.attn.wkv.scale is missing"},
      {"a drafter of another size", [](Json&, Infos& t) { at_name(t, "mtp.0.attn_norm.weight").shape = {256}; }, "mtp.0.attn_norm.weight is BF16 [256], the drafter of this model needs BF16 [160]"},
      {"fewer experts in the drafter", [](Json&, Infos& t) { at_name(t, "mtp.0.ffn.gate.weight").shape[0] = 2; }, "mtp.0.ffn.gate.weight"},
      {"another dtype", [](Json&, Infos& t) { at_name(t, "mtp.0.main_norm.weight").dtype = "F16"; }, "mtp.0.main_norm.weight is F16 [160]"},
      {"packed codes where no expert is", [](Json&, Infos& t) { at_name(t, "mtp.0.main_proj.weight").dtype = "I8"; }, "mtp.0.main_proj.weight is I8"},
      {"the config of the first release", [](Json& c, Infos&) { c = to_json(tiny_config()); }, "config.json has no dspark_* keys"},
      {"the MTP layer of the first release with the new config", [](Json&, Infos& t) { t = heads(stored_tensors(tiny_config())); }, "mtp.0.e_proj.weight belongs to the MTP layer"},
      {"tensors of both", [](Json&, Infos& t) { t.push_back({"mtp.0.enorm.weight", "BF16", {160}}); }, "two releases are mixed"},
      {"V4.1's drafter", [](Json&, Infos& t) { t.push_back({"mtp.2.markov_head.embed.weight", "BF16", {48, 8}}); }, "DeepSeek-V4.1"},
      {"V4.1's router", [](Json&, Infos& t) { t.push_back({"layers.0.ffn.gate.bias_vl", "F32", {4}}); }, "layers.0.ffn.gate.bias_vl is a tensor of DeepSeek-V4.1"},
      {"two spellings of one embedding",
       [](Json&, Infos& t) {
         t.push_back({"mtp.0.embed.weight", "BF16", {48, 160}});
         t.push_back({"mtp.0.emb.tok_emb.weight", "BF16", {48, 160}});
       },
       "two spellings"},
      {"an embedding of another width", [](Json&, Infos& t) { t.push_back({"mtp.0.embed.weight", "BF16", {48, 161}}); }, "mtp.0.embed.weight is BF16 [48, 161]"},
  };
  for (const Fault& fault : faults) {
    Json json = right.config();
    Infos infos = heads(right.tensors());
    EXPECT_EQ(recognise(json, infos).drafter, DrafterKind::kDspark);
    fault.make(json, infos);
    SCOPED_TRACE(fault.what);
    EXPECT_ERROR(recognise(json, infos), ErrorKind::kCheckpoint, fault.named);
  }
}

TEST(Release, OtherArchitecturesAreRefusedByTheirConfig) {
  const auto with = [](const std::string& key, const Json& value) {
    Json json = to_json(tiny_config());
    json[key] = value;
    return json;
  };
  EXPECT_ERROR(parse_model_config(with("model_type", "deepseek_v41"), "c.json"), ErrorKind::kConfig, "DeepSeek-V4.1, another architecture");
  EXPECT_ERROR(parse_model_config(with("text_config", Json::object()), "c.json"), ErrorKind::kConfig, "text_config");
  EXPECT_ERROR(parse_model_config(with("engram_layer_ids", {1}), "c.json"), ErrorKind::kConfig, "engram_layer_ids");
  EXPECT_ERROR(parse_model_config(with("vision_hidden_size", 64), "c.json"), ErrorKind::kConfig, "vision_hidden_size");
}

// transformers writes layer_types instead of ratios and keeps dspark_* keys.
TEST(Release, AConfigWrittenByTransformersHasNoRatiosToCount) {
  const DsparkModel right = with_dspark(tiny_config(), 3, 8, 47);
  Json json = right.config();
  json.erase("compress_ratios");
  json["layer_types"] = {"sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"};
  EXPECT_TRUE(recognise(json, heads(stored_tensors(right.main))).leftover_keys);
  EXPECT_EQ(recognise(json, heads(right.tensors())).drafter, DrafterKind::kDspark);
}

}  // namespace
}  // namespace temper
