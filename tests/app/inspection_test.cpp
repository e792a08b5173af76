// What temper inspect says, against the published totals and files made here.
#include "app/inspection.h"

#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/training_checkpoint.h"
#include "checkpoint/safetensors_header.h"
#include "support/dspark_model.h"
#include "support/expect_error.h"
#include "support/temp_folder.h"
#include "support/tiny_model.h"
#include "test_places.h"

namespace temper {
namespace {

using namespace test;

fs::path released(const std::string& name) { return fs::path(TEMPER_SOURCE_DIR) / "configs/model" / ("deepseek_v4_" + name + ".json"); }

// Totals of the released files; docs/deepseek_v4.md.
TEST(Inspect, KnowsTheReleasedLayoutsFromTheirConfigs) {
  const Inspection flash = inspect_path(released("flash"), false), pro = inspect_path(released("pro"), false);
  EXPECT_EQ(flash.json.at("kind"), "config");
  EXPECT_EQ(flash.json.at("tensors").at("count"), 69187);
  EXPECT_EQ(flash.json.at("tensors").at("elements"), 158069433298);
  EXPECT_EQ(flash.json.at("tensors").at("bytes"), 159609485896);
  EXPECT_EQ(pro.json.at("tensors").at("count"), 145116);
  EXPECT_EQ(pro.json.at("tensors").at("elements"), 861608274846);
  EXPECT_EQ(pro.json.at("tensors").at("bytes"), 864704792696);
  EXPECT_EQ(flash.json.at("layers"), Json({{"total", 43}, {"window", 2}, {"csa", 21}, {"hca", 20}, {"hash_routed", 3}, {"mtp", 1}}));
  EXPECT_EQ(pro.json.at("layers"), Json({{"total", 61}, {"window", 0}, {"csa", 30}, {"hca", 31}, {"hash_routed", 3}, {"mtp", 1}}));
  EXPECT_NE(flash.text.find("69,187 tensors, 158,069,433,298 stored elements, 159,609,485,896 data bytes (148.65 GiB)"), std::string::npos) << flash.text;
  EXPECT_EQ(flash.json.at("transformers_obstacles").size(), 0u);
}

TEST(Inspect, DescribesAModelFolderAndItsHealth) {
  const TempFolder folder;
  auto tensors = random_stored_tensors(tiny_config());
  write_model_folder(folder / "good", tiny_config(), tensors);
  const Inspection good = inspect_path(folder / "good", false);
  EXPECT_EQ(good.json.at("kind"), "model");
  EXPECT_EQ(good.json.at("spelling"), "released");
  EXPECT_EQ(good.json.at("tensors").at("count"), tensors.size());
  EXPECT_EQ(good.json.at("health").at("not_finite").size(), 0u);
  for (auto& [name, value] : tensors)
    if (name == "norm.weight") value[3] = std::numeric_limits<float>::infinity();
  write_model_folder(folder / "bad", tiny_config(), tensors);
  EXPECT_EQ(inspect_path(folder / "bad", false).json.at("health").at("not_finite"), Json({"norm.weight"}));
  const Inspection good_again = inspect_path(folder / "good", false);
  EXPECT_EQ(good_again.json.at("encodings"), Json({{"plain", static_cast<int64_t>(tensors.size())}}));
  EXPECT_EQ(good_again.json.at("notes").size(), 0u);
  const Inspection golden = inspect_path(fs::path(TEMPER_SOURCE_DIR) / "tests/golden/dialects/transformers", false);
  EXPECT_EQ(golden.json.at("spelling"), "transformers");
  EXPECT_EQ(golden.json.at("mtp_missing"), true);
}

TEST(Inspect, DescribesCheckpointsAndRunFolders) {
  const TempFolder folder;
  CheckpointWriter writer({.folder = folder / "run/checkpoints"});
  writer.save({.step = 12, .seed = 3, .tensors = {whole_tensor("weights/a", at::full({4}, 1.0, at::kFloat)), whole_tensor("adamw_m/a", at::full({4}, 1.0, at::kFloat))},
               .files = {{"recipe.toml", "x"}}});
  writer.wait();
  const Inspection checkpoint = inspect_path(folder / "run/checkpoints/step-12", false);
  EXPECT_EQ(checkpoint.json.at("kind"), "checkpoint");
  EXPECT_EQ(checkpoint.json.at("step"), 12);
  EXPECT_EQ(checkpoint.json.at("groups").at("weights").at("bytes"), 16);
  EXPECT_EQ(checkpoint.json.at("digests_checked"), true);
  EXPECT_EQ(checkpoint.json.at("health").at("not_finite").size(), 0u);
  writer.save({.step = 13, .tensors = {whole_tensor("weights/a", at::full({4}, std::numeric_limits<float>::quiet_NaN())), whole_tensor("adamw_m/a", at::full({4}, std::numeric_limits<float>::infinity()))},
               .files = {}});
  writer.wait();
  EXPECT_EQ(inspect_path(folder / "run/checkpoints/step-13", true).json.at("health").at("not_finite"), Json({"weights/a", "adamw_m/a"}));
  fs::remove_all(folder / "run/checkpoints/step-13");
  write_file_atomic(folder / "run/metrics.jsonl", "{\"step\": 1}\n{\"step\": 2}\n");
  const Inspection run = inspect_path(folder / "run", false);
  EXPECT_EQ(run.json.at("kind"), "run");
  EXPECT_EQ(run.json.at("metrics").at("last").at("step"), 2);
  EXPECT_EQ(run.json.at("checkpoints"), Json({"step-12"}));
}

// The official files of a config, each without its data, as range requests fetch them; `n_files` of about equal length.
void write_headers(const fs::path& folder, const Json& config, const std::vector<StoredTensor>& tensors, int64_t n_files) {
  fs::create_directories(folder);
  write_file_atomic(folder / "config.json", config.dump());
  std::vector<std::vector<StoredTensor>> files(static_cast<size_t>(n_files));
  size_t next = 0;
  for (const StoredTensor& info : tensors) files[next++ % files.size()].push_back({.name = info.name, .dtype = info.dtype, .shape = info.shape});
  for (size_t i = 0; i < files.size(); ++i) write_file_atomic(folder / fmt::format("model-{:05}.safetensors", i), render_safetensors_header(files[i], {{"format", "pt"}}));
}

// config.json and model.safetensors.index.json, nothing else.
void write_index(const fs::path& folder, const Json& config, const std::vector<StoredTensor>& tensors, bool with_size) {
  fs::create_directories(folder);
  write_file_atomic(folder / "config.json", config.dump());
  nlohmann::json index = {{"metadata", nlohmann::json::object()}, {"weight_map", nlohmann::json::object()}};
  int64_t n_bytes = 0;
  for (const StoredTensor& info : tensors) {
    index["weight_map"][info.name] = "model-00001-of-00002.safetensors";
    n_bytes += static_cast<int64_t>(info.bytes);
  }
  if (with_size) index["metadata"]["total_size"] = n_bytes;
  write_file_atomic(folder / "model.safetensors.index.json", index.dump());
}

DsparkModel dspark_release(const std::string& name) { return with_dspark(read_model_config(released(name)), 3, name == "flash" ? 256 : 512, 128799); }

// Published numbers of DeepSeek-V4-Flash-0731 and -Pro-0813.
TEST(Inspect, TellsADsparkReleaseFromItsHeadersOrItsIndexAlone) {
  for (const std::string name : {"flash", "pro"}) {
    const bool flash = name == "flash";
    const TempFolder folder;
    const DsparkModel model = dspark_release(name);
    const std::vector<StoredTensor> tensors = model.tensors();
    write_headers(folder / "headers", model.config(), tensors, flash ? 48 : 66);
    write_index(folder / "index", model.config(), tensors, true);
    write_index(folder / "index_without_size", model.config(), tensors, false);
    fs::create_directories(folder / "config");
    write_file_atomic(folder / "config/config.json", model.config().dump());
    for (const char* form : {"headers", "index", "index_without_size", "config"}) {
      SCOPED_TRACE(form);
      const Inspection found = inspect_path(folder / form, false);
      EXPECT_EQ(found.json.at("release"), flash ? "DeepSeek-V4-Flash with DSpark drafter (0731 or DSpark release)" : "DeepSeek-V4-Pro with DSpark drafter (0813 or DSpark release)");
      EXPECT_EQ(found.json.at("drafter"), "dspark");
      EXPECT_EQ(found.json.at("drafter_action"), "carried");
      EXPECT_EQ(found.json.at("tensors").at("count"), flash ? 72317 : 149782);
      EXPECT_EQ(found.json.at("tensors").at("bytes"), flash ? 166878536440 : 892727580904);
      EXPECT_NE(found.text.find("drafter: dspark, 3 stages"), std::string::npos) << found.text;
    }
  }
}

TEST(Inspect, TellsTheFirstReleasesAndBaseFromTheirHeadersOrIndex) {
  const TempFolder folder;
  const ModelConfig flash = read_model_config(released("flash"));
  write_headers(folder / "flash", to_json(flash), stored_tensors(flash), 46);
  const Inspection preview = inspect_path(folder / "flash", false);
  EXPECT_EQ(preview.json.at("release"), "DeepSeek-V4-Flash (preview)");
  EXPECT_EQ(preview.json.at("drafter"), "mtp");
  EXPECT_EQ(preview.json.at("tensors").at("count"), 69187);
  EXPECT_EQ(preview.json.at("tensors").at("bytes"), 159609485896);
  EXPECT_EQ(preview.json.at("health").at("header_only_files"), 46);

  ModelConfig base = flash;   // its config says ue8m0, its files hold F32
  base.expert_encoding = Encoding::kFp8Block128;
  write_index(folder / "base", to_json(base), stored_tensors(base), false);
  nlohmann::json index = nlohmann::json::parse(read_file(folder / "base/model.safetensors.index.json"));
  for (const char* name : {"mtp.0.emb.tok_emb.weight", "mtp.0.head.weight"}) index["weight_map"][name] = "model-00001-of-00002.safetensors";
  write_file_atomic(folder / "base/model.safetensors.index.json", index.dump());
  const Inspection found = inspect_path(folder / "base", false);
  EXPECT_EQ(found.json.at("release"), "DeepSeek-V4-Flash-Base");
  EXPECT_EQ(found.json.at("tensors").at("count"), 69189);
  EXPECT_EQ(found.json.at("tensors").at("elements"), 292021347282);
}

TEST(Inspect, AFileWithSomeOfItsDataIsDamagedNotAHeader) {
  const TempFolder folder;
  write_model_folder(folder / "a", tiny_config(), random_stored_tensors(tiny_config()));
  const fs::path file = folder / "a/model.safetensors";
  fs::resize_file(file, fs::file_size(file) - 4);
  EXPECT_ERROR(inspect_path(folder / "a", false), ErrorKind::kCheckpoint, "model.safetensors");
}

TEST(Inspect, CountsTheRowsOfDataAndNamesBadOnes) {
  const TempFolder folder;
  write_file_atomic(folder / "a.jsonl", "{\"text\": \"once\"}\n{\"instruction\": \"a\", \"output\": \"b\"}\n\n{\"text\": \"upon\"}\n{\"x\": 1}\n");
  const Inspection data = inspect_path(folder / "a.jsonl", false);
  EXPECT_EQ(data.json.at("rows"), 4);
  EXPECT_EQ(data.json.at("format"), "text");
  EXPECT_EQ(data.json.at("samples"), 2);
  EXPECT_EQ(data.json.at("bad_rows"), 2);   // one file holds one format
  EXPECT_NE(data.text.find("a.jsonl:5: "), std::string::npos) << data.text;
  ASSERT_TRUE(data.refused);
  EXPECT_EQ(data.refused->kind(), ErrorKind::kData);
}

TEST(Inspect, SaysWhatItCannotName) {
  const TempFolder folder;
  EXPECT_ERROR(inspect_path(folder / "x", false), ErrorKind::kData, "no such file or folder");
  EXPECT_ERROR(inspect_path(folder.path(), false), ErrorKind::kData, "not a model, config, checkpoint");
  write_file_atomic(folder / "x.json", "{}");
  EXPECT_ERROR(inspect_path(folder / "x.json", false), ErrorKind::kConfig, "x.json");
}

}  // namespace
}  // namespace temper
