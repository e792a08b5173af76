// The three spellings in tests/golden/dialects were written by transformers for one model; the released one is the truth.
#include "checkpoint/load_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <functional>

#include "checkpoint/tensor_names.h"
#include "checkpoint/training_checkpoint.h"
#include "support/expect_error.h"
#include "support/expert_table.h"
#include "support/temp_folder.h"
#include "support/tensors.h"
#include "support/tiny_model.h"
#include "test_places.h"

namespace temper {
namespace {

using namespace test;
using Named = std::vector<std::pair<std::string, Tensor>>;

fs::path golden(const std::string& name) { return fs::path(TEMPER_SOURCE_DIR) / "tests/golden" / name; }

TEST(LoadModel, ReadsTheSameWeightsFromEverySpelling) {
  const SafetensorsFolder truth(golden("dialects/released"));
  for (const std::string dialect : {"released", "transformers", "save_pretrained"}) {
    const LoadedModel model = load_model(golden("dialects/" + dialect));
    EXPECT_TRUE(model.mtp_missing);   // the config says one MTP layer, transformers has none
    EXPECT_EQ(model.weights.parameters().size(), truth.names().size()) << dialect;
    for (const Parameter& p : model.weights.parameters())
      EXPECT_TRUE(at::equal(p.master, truth.tensor(p.row.name).to(p.master.scalar_type()))) << dialect << " " << p.row.name;
  }
}

// Names as documented for transformers before 5.10 and for prefixes; the tensor map decides whether they exist.
TEST(TensorNames, KnowsTheFormerNamesAndPrefixes) {
  const auto name = [](const std::string& stored) { return released_name(stored).value_or(ReleasedName{.name = "-"}).name; };
  EXPECT_EQ(name("model.layers.2.self_attn.compressor.indexer.weights_proj.weight"), "layers.2.attn.indexer.weights_proj.weight");
  EXPECT_EQ(name("model.layers.2.self_attn.compressor.indexer.scorer.weights_proj.weight"), "layers.2.attn.indexer.weights_proj.weight");
  EXPECT_EQ(name("model.layers.12.attn.indexer.compressor.norm.weight"), "layers.12.attn.indexer.compressor.norm.weight");
  EXPECT_EQ(name("model.mtp.0.attn.wq_a.scale"), "mtp.0.attn.wq_a.scale");
  EXPECT_EQ(name("model.layers.2.self_attn.q_a_proj.weight_scale_inv"), "layers.2.attn.wq_a.scale");
  EXPECT_EQ(name("layers.0.hc_attn_scale"), "layers.0.hc_attn_scale");
  EXPECT_EQ(name("model.hc_head_fn"), "hc_head_fn");
  EXPECT_EQ(name("model.layers.0.self_attn.q_proj.bias"), "-");
}

Tensor stored(const Named& tensors, const std::string& name) {
  for (const auto& [n, value] : tensors)
    if (n == name) return value;
  ADD_FAILURE() << name;
  return {};
}

ModelConfig quantized_config(Encoding experts, bool e8m0) {
  ModelConfig config = tiny_config();
  config.quantized = true;
  config.expert_encoding = experts;
  config.scales_are_e8m0 = e8m0;
  return config;
}

// Element by element from the formulas of the formats.
float fp8_element(const Tensor& codes, const Tensor& scales, int64_t i, int64_t j) {
  return codes[i][j].item().to<float>() * scales.to(at::kFloat)[i / 128][j / 128].item<float>();
}
float fp4_element(const Tensor& codes, const Tensor& scales, int64_t i, int64_t j) {
  constexpr float kGrid[8] = {0, .5, 1, 1.5, 2, 3, 4, 6};
  const int byte = codes.view(at::kByte)[i][j / 2].item<int>(), nibble = j % 2 == 0 ? byte & 15 : byte >> 4;
  return (nibble & 8 ? -1.0f : 1.0f) * kGrid[nibble & 7] * scales.to(at::kFloat)[i][j / 32].item<float>();
}

TEST(LoadModel, DequantisesTheOfficialLayoutExactly) {
  const TempFolder folder;
  const ModelConfig config = quantized_config(Encoding::kFp4Block32, true);
  const Named files = random_stored_tensors(config);
  write_model_folder(folder.path(), config, files);
  const LoadedModel model = load_model(folder.path());
  EXPECT_FALSE(model.mtp_missing);
  for (const std::string name : {"layers.0.attn.wo_b", "mtp.0.e_proj", "layers.1.attn.indexer.wq_b"}) {
    const Tensor ours = model.weights.parameter(name + ".weight").master, codes = stored(files, name + ".weight").to(at::kFloat), scales = stored(files, name + ".scale");
    for (int64_t i = 0; i < ours.size(0); i += 7)
      for (int64_t j = 0; j < ours.size(1); j += 5) ASSERT_EQ(ours[i][j].item<float>(), fp8_element(codes, scales, i, j)) << name << " " << i << " " << j;
  }
  for (const std::string name : {"layers.2.ffn.experts.3.w1", "mtp.0.ffn.experts.0.w2"}) {
    const Tensor ours = model.weights.parameter(name + ".weight").master, codes = stored(files, name + ".weight"), scales = stored(files, name + ".scale");
    for (int64_t i = 0; i < ours.size(0); i += 9)
      for (int64_t j = 0; j < ours.size(1); ++j) ASSERT_EQ(ours[i][j].item<float>(), fp4_element(codes, scales, i, j)) << name << " " << i << " " << j;
  }
  EXPECT_TRUE(at::equal(model.weights.parameter("layers.0.ffn.gate.tid2eid").master, stored(files, "layers.0.ffn.gate.tid2eid")));
  EXPECT_TRUE(at::equal(model.weights.parameter("layers.1.hc_attn_fn").master, stored(files, "layers.1.hc_attn_fn")));
}

TEST(LoadModel, ReadsBaseReleasesWithFp8ExpertsAndFloatScales) {
  const TempFolder folder;
  const ModelConfig config = quantized_config(Encoding::kFp8Block128, false);
  const Named files = random_stored_tensors(config);
  write_model_folder(folder.path(), config, files);
  const LoadedModel model = load_model(folder.path());
  const Tensor ours = model.weights.parameter("layers.2.ffn.experts.3.w1.weight").master;
  const Tensor codes = stored(files, "layers.2.ffn.experts.3.w1.weight").to(at::kFloat), scales = stored(files, "layers.2.ffn.experts.3.w1.scale");
  ASSERT_EQ(scales.scalar_type(), at::kFloat);
  for (int64_t j = 0; j < ours.size(1); ++j) ASSERT_EQ(ours[5][j].item<float>(), fp8_element(codes, scales, 5, j));
}

TEST(LoadModel, ComputesInTheDtypeThatIsAskedForAndLeavesMtpOutOnRequest) {
  const TempFolder folder;
  write_model_folder(folder.path(), tiny_config(), random_stored_tensors(tiny_config()));
  const LoadedModel model = load_model(folder.path(), {.compute_dtype = at::kBFloat16, .mtp = false});
  EXPECT_EQ(model.weights.config().n_mtp_layers, 0);
  const Parameter& p = model.weights.parameter("layers.1.attn.wq_b.weight");
  EXPECT_EQ(p.compute.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(p.compute, p.master.to(at::kBFloat16)));
  EXPECT_EQ(load_model(folder.path(), {.compute_dtype = at::kDouble}).weights.parameter("layers.1.attn.wq_b.weight").master.scalar_type(), at::kDouble);
}

TEST(LoadModel, ReadsTheMastersOfATrainingCheckpoint) {
  const TempFolder folder;
  const ModelConfig config = tiny_config();
  CheckpointContent content{.step = 3, .tensors = {}, .files = {{"config.json", to_json(config).dump()}}};
  for (const TensorRow& row : tensor_map(config))
    content.tensors.push_back(whole_tensor(std::string(kWeightPrefix) + row.name, row.holds_ids() ? distinct_ids(row.shape) : random_tensor(row.shape, row.name)));
  CheckpointWriter writer({.folder = folder / "run/checkpoints"});
  writer.save(content);
  writer.wait();
  EXPECT_EQ(open_weights(folder / "run")->path(), folder / "run/checkpoints/step-3");   // of a run, the latest
  const LoadedModel model = load_model(folder / "run/checkpoints/step-3");
  for (const Parameter& p : model.weights.parameters())
    EXPECT_TRUE(!p.row.trainable() || at::equal(p.master, random_tensor(p.row.shape, p.row.name))) << p.row.name;
}

// A manifest with right digests that belongs to another model than the config.json next to it.
TEST(LoadModel, ACheckpointWhoseTensorsAreNotThoseOfItsConfigIsRefused) {
  const TempFolder folder;
  const auto write = [&](const ModelConfig& config, const std::function<void(CheckpointContent&)>& change) {
    CheckpointContent content{.step = 3, .tensors = {}, .files = {{"config.json", to_json(config).dump()}}};
    for (const TensorRow& row : tensor_map(tiny_config()))
      content.tensors.push_back(whole_tensor(std::string(kWeightPrefix) + row.name, row.holds_ids() ? distinct_ids(row.shape) : at::ones(row.shape)));
    change(content);
    CheckpointWriter writer({.folder = folder.path()});
    writer.save(content);
    writer.wait();
  };
  const auto set = [](const char* name, const Tensor& value) {
    return [=](CheckpointContent& content) {
      for (CheckpointTensor& tensor : content.tensors)
        if (tensor.name == name) tensor = whole_tensor(name, value);
    };
  };
  write(tiny_config(), set("weights/embed.weight", at::ones({48, 160}, at::kInt)));
  EXPECT_ERROR(open_weights(folder / "step-3"), ErrorKind::kCheckpoint, "weights/embed.weight is I32 [48, 160], the model needs F32 [48, 160]");
  write(tiny_config(), set("weights/embed.weight", at::ones({48, 80})));
  EXPECT_ERROR(open_weights(folder / "step-3"), ErrorKind::kCheckpoint, "weights/embed.weight is F32 [48, 80]");
  write(tiny_config(), set("weights/layers.0.ffn.gate.tid2eid", at::ones({48, 2})));
  EXPECT_ERROR(open_weights(folder / "step-3"), ErrorKind::kCheckpoint, "the model needs I64");
  write(tiny_config(), [](CheckpointContent& content) { std::erase_if(content.tensors, [](const auto& tensor) { return tensor.name == "weights/mtp.0.norm.weight"; }); });
  EXPECT_ERROR(open_weights(folder / "step-3"), ErrorKind::kCheckpoint, "weights/mtp.0.norm.weight is missing");
  ModelConfig fewer = tiny_config();
  fewer.n_layers -= 1;
  fewer.compress_ratios.erase(fewer.compress_ratios.begin() + fewer.n_layers);
  write(fewer, [](CheckpointContent&) {});
  EXPECT_ERROR(open_weights(folder / "step-3"), ErrorKind::kCheckpoint, "belongs to no tensor of the model in config.json");
}

// Each change to a good folder, the error it gives.
class LoadModelFaults : public ::testing::Test {
 protected:
  LoadModelFaults() : config_(quantized_config(Encoding::kFp4Block32, true)), files_(random_stored_tensors(config_)) {}
  void rename(const std::string& from, const std::string& to) {
    for (auto& [name, value] : files_)
      if (name == from) name = to;
  }
  void remove(const std::string& prefix) { std::erase_if(files_, [&](const auto& file) { return file.first.starts_with(prefix); }); }
  void set(const std::string& name, const Tensor& tensor) {
    for (auto& [n, value] : files_)
      if (n == name) value = tensor;
  }
  void expect(const std::string& message) {
    write_model_folder(folder_.path(), config_, files_);
    EXPECT_ERROR(load_model(folder_.path()), ErrorKind::kCheckpoint, message);
  }
  TempFolder folder_;
  ModelConfig config_;
  Named files_;
};

TEST_F(LoadModelFaults, UnknownTensorsAreNamed) {
  rename("layers.1.attn.wq_a.weight", "layers.1.attn.wq_x.weight");
  expect("layers.1.attn.wq_x.weight");
}
TEST_F(LoadModelFaults, UnknownLayersOfTheTransformersSpellingAreNamed) {
  files_.emplace_back("model.layers.0.self_attn.q_proj.weight", at::ones({2, 2}));
  expect("unknown names: model.layers.0.self_attn.q_proj.weight");
}
TEST_F(LoadModelFaults, MissingTensorsAreNamedAndCounted) {
  remove("layers.2.");
  expect("(37 in all)");
}
TEST_F(LoadModelFaults, AHalfMissingMtpLayerIsAnError) {
  remove("mtp.0.h_proj");
  expect("tensors are missing: mtp.0.h_proj.weight");
}
TEST_F(LoadModelFaults, FurtherDraftLayersAreAnUnknownLayout) {
  files_.emplace_back("mtp.1.norm.weight", at::ones({160}));
  expect("this layout of MTP layers");
}
TEST_F(LoadModelFaults, AScaleWithoutItsWeightIsAnError) {
  set("layers.1.attn.wq_b.weight", at::ones({128, 64}));
  expect("layers.1.attn.wq_b.scale");
}
TEST_F(LoadModelFaults, AWeightWithoutItsScaleIsAnError) {
  remove("layers.1.attn.wq_b.scale");
  expect("layers.1.attn.wq_b.weight is F8_E4M3 but has no scale");
}
TEST_F(LoadModelFaults, ScalesOfOtherBlocksAreAnError) {
  set("layers.1.attn.wq_b.scale", at::ones({2, 2}));
  expect("layers.1.attn.wq_b.scale is F32 [2, 2], needed is F8_E8M0 or F32 [1, 1]");
}
TEST_F(LoadModelFaults, NanScalesAreAnError) {
  set("layers.1.attn.wq_b.scale", at::full({1, 1}, 255, at::kByte).view(at::ScalarType::Float8_e8m0fnu));
  expect("layers.1.attn.wq_b.weight has");
}
TEST_F(LoadModelFaults, WrongShapesSayBothShapes) {
  set("norm.weight", at::ones({161}));
  expect("norm.weight is [161], the model needs [160]");
}
TEST_F(LoadModelFaults, WrongTypesSayBothTypes) {
  set("norm.weight", at::ones({160}, at::kLong));
  expect("norm.weight is I64 [160], the model needs BF16");
}
TEST_F(LoadModelFaults, TheConfigOfAnotherModelIsRecognised) {
  config_.hidden_size = 4096;
  expect("hidden_size 160, the config.json says 4096");
}
TEST_F(LoadModelFaults, TwoSpellingsOfOneTensorAreAnError) {
  files_.emplace_back("model.embed_tokens.weight", at::ones({48, 160}));
  expect("embed.weight is there twice");
}
TEST_F(LoadModelFaults, ATruncatedFileIsAnError) {
  write_model_folder(folder_.path(), config_, files_);
  const std::string whole = read_file(folder_ / "model.safetensors");
  write_file_atomic(folder_ / "model.safetensors", whole.substr(0, whole.size() / 2));
  EXPECT_ERROR(load_model(folder_.path()), ErrorKind::kCheckpoint, "model.safetensors");
  fs::remove(folder_ / "config.json");
  EXPECT_ERROR(load_model(folder_.path()), ErrorKind::kConfig, "config.json");
}

}  // namespace
}  // namespace temper
