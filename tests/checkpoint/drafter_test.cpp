// A DSpark drafter goes through imports, exports and checkpoints byte for byte.
#include "checkpoint/drafter.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "checkpoint/export.h"
#include "checkpoint/load_model.h"
#include "checkpoint/model_card.h"
#include "checkpoint/model_folder_source.h"
#include "checkpoint/training_checkpoint.h"
#include "support/dspark_model.h"
#include "support/expect_error.h"
#include "support/expert_table.h"
#include "support/temp_folder.h"
#include "support/tensors.h"
#include "support/tiny_model.h"
#include "tensor/allocator.h"

namespace temper {
namespace {

using namespace test;

ModelConfig quantised(ModelConfig config) {
  config.quantized = true;
  config.expert_encoding = Encoding::kFp4Block32;
  return config;
}
DsparkModel mini(int64_t n_stages = 3) { return with_dspark(quantised(tiny_config()), n_stages, 8, 47); }
std::vector<std::pair<std::string, Tensor>> mini_tensors() { return random_tensors_of(mini().tensors(), mini().main); }
Drafter open_mini(const fs::path& folder) { return Drafter(folder, mini().main); }

ExportReport run_export(const fs::path& from, const fs::path& to, ExportDtype dtype, const std::string& drafter = kKeepDrafter) {
  return export_model(*open_weights(from), to, {.dtype = dtype, .max_shard_bytes = 300000, .drafter = drafter});
}

std::string bytes_of(const SafetensorsFolder& files, const std::string& name) {
  const SafetensorsFolder::Entry entry = files.entry(name);
  const auto bytes = entry.file->bytes(*entry.stored);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Names, dtypes, shapes and bytes under mtp., and the dspark_* keys with the ratios.
void expect_same_drafter(const fs::path& a, const fs::path& b) {
  const SafetensorsFolder first(a), second(b);
  int64_t n = 0, n_second = 0;
  for (const std::string& name : first.names()) {
    if (!name.starts_with("mtp.")) continue;
    ++n;
    const SafetensorsFolder::Entry x = first.entry(name), y = second.entry(name);
    EXPECT_EQ(x.stored->dtype, y.stored->dtype) << name;
    EXPECT_EQ(x.stored->shape, y.stored->shape) << name;
    EXPECT_TRUE(bytes_of(first, name) == bytes_of(second, name)) << name;
  }
  for (const std::string& name : second.names()) n_second += name.starts_with("mtp.");
  EXPECT_GT(n, 50);
  EXPECT_EQ(n, n_second);
  const Json before = read_json(a / "config.json"), after = read_json(b / "config.json");
  for (const auto& [key, value] : before.items()) {
    if (key.starts_with("dspark_") || key == "compress_ratios" || key == "num_nextn_predict_layers") {
      EXPECT_EQ(after.value(key, Json()), value) << key;
    }
  }
}

bool has_no_drafter(const fs::path& folder) {
  const SafetensorsFolder files(folder);
  for (const std::string& name : files.names())
    if (name.starts_with("mtp.")) return false;
  const Json json = read_json(folder / "config.json");
  for (const auto& [key, value] : json.items())
    if (key.starts_with("dspark_")) return false;
  return json.at("num_nextn_predict_layers") == 0 && std::ssize(json.at("compress_ratios")) == json.at("num_hidden_layers").get<int64_t>();
}

TEST(Drafter, ImportAndExportCarryItByteForByteInEveryDtype) {
  for (const int64_t n_stages : {1, 2, 3}) {
    const TempFolder folder;
    write_dspark_folder(folder / "released", mini(n_stages));
    Json config = read_json(folder / "released/config.json");
    config["dspark_some_later_key"] = 7;
    write_file_atomic(folder / "released/config.json", config.dump(2));
    run_export(folder / "released", folder / "imported", ExportDtype::kExact);
    expect_same_drafter(folder / "released", folder / "imported");
    for (const ExportDtype dtype : {ExportDtype::kBf16, ExportDtype::kFloat32, ExportDtype::kFp8Fp4}) {
      const fs::path to = folder / ("exported" + std::to_string(static_cast<int>(dtype)));
      const ExportReport report = run_export(folder / "imported", to, dtype);
      EXPECT_EQ(report.n_rounded, 0);
      EXPECT_GT(report.n_carried_tensors, 50);
      expect_same_drafter(folder / "released", to);
      EXPECT_EQ(read_json(to / "config.json").at("dspark_some_later_key"), 7);
    }
  }
}

TEST(Drafter, IsNotPartOfTheModelThatIsComputed) {
  const TempFolder folder;
  write_dspark_folder(folder / "with", mini());
  write_model_folder(folder / "without", mini().main, only(mini_tensors(), "mtp.", false));
  const LoadedModel with = load_model(folder / "with"), without = load_model(folder / "without");
  ASSERT_EQ(with.weights.parameters().size(), without.weights.parameters().size());
  for (const Parameter& p : with.weights.parameters()) EXPECT_TRUE(at::equal(p.master, without.weights.parameter(p.row.name).master)) << p.row.name;
  EXPECT_EQ(to_json(with.weights.config()), to_json(without.weights.config()));
}

TEST(Drafter, AVocabularyOfItsOwnIsCarriedToo) {
  const TempFolder folder;
  auto tensors = mini_tensors();
  tensors.emplace_back("mtp.0.emb.tok_emb.weight", random_tensor({48, 160}, "e", at::kBFloat16));
  tensors.emplace_back("mtp.2.head.weight", random_tensor({48, 160}, "h", at::kBFloat16));
  write_dspark_folder(folder / "a", mini(), tensors);
  run_export(folder / "a", folder / "b", ExportDtype::kFp8Fp4);
  expect_same_drafter(folder / "a", folder / "b");
}

TEST(Drafter, NamesUnderWrappersAreWrittenWithoutThem) {
  const TempFolder folder;
  write_dspark_folder(folder / "plain", mini());
  auto wrapped = mini_tensors();
  for (auto& [name, value] : wrapped) name = "module._orig_mod." + name;
  write_dspark_folder(folder / "wrapped", mini(), wrapped);
  EXPECT_EQ(open_mini(folder / "wrapped").digest(), open_mini(folder / "plain").digest());
  run_export(folder / "wrapped", folder / "exported", ExportDtype::kFp8Fp4);
  expect_same_drafter(folder / "plain", folder / "exported");
  wrapped.emplace_back("mtp.0.main_norm.weight", wrapped.front().second);
  write_dspark_folder(folder / "twice", mini(), wrapped);
  EXPECT_ERROR(open_weights(folder / "twice"), ErrorKind::kCheckpoint, "mtp.0.main_norm.weight is there twice, under two spellings");
}

TEST(Drafter, DroppingItLeavesNoTensorKeyOrRatio) {
  const TempFolder folder;
  write_dspark_folder(folder / "a", mini());
  EXPECT_TRUE(run_export(folder / "a", folder / "dropped", ExportDtype::kFp8Fp4, kDropDrafter).drafter_dropped);
  EXPECT_TRUE(has_no_drafter(folder / "dropped"));
  run_export(folder / "dropped", folder / "again", ExportDtype::kBf16);
  EXPECT_TRUE(has_no_drafter(folder / "again"));
  // The first releases' MTP layers are dropped the same way.
  write_model_folder(folder / "mtp", quantised(tiny_config()), random_stored_tensors(quantised(tiny_config())));
  EXPECT_TRUE(run_export(folder / "mtp", folder / "no_mtp", ExportDtype::kFp8Fp4, kDropDrafter).mtp_dropped);
  EXPECT_TRUE(has_no_drafter(folder / "no_mtp"));
}

TEST(Drafter, LeftoverKeysAreNotWrittenAgain) {
  const TempFolder folder;
  for (const int64_t n_ratios : {3, 4, 6}) {
    const fs::path a = folder / ("a" + std::to_string(n_ratios)), b = folder / ("b" + std::to_string(n_ratios));
    write_dspark_folder(a, mini(), only(mini_tensors(), "mtp.", false));
    Json config = read_json(a / "config.json");
    std::vector<int64_t> ratios = {0, 4, 128};
    ratios.resize(static_cast<size_t>(n_ratios), 0);
    config["compress_ratios"] = ratios;
    write_file_atomic(a / "config.json", config.dump());
    EXPECT_TRUE(ModelFolderSource(a).release().leftover_keys);
    run_export(a, b, ExportDtype::kFp8Fp4);
    EXPECT_TRUE(has_no_drafter(b));
  }
}

TEST(Drafter, AnotherFoldersDrafterIsAttachedIfItFits) {
  const TempFolder folder;
  write_dspark_folder(folder / "release", mini());
  write_model_folder(folder / "preview", quantised(tiny_config()), random_stored_tensors(quantised(tiny_config())));
  run_export(folder / "release", folder / "plain", ExportDtype::kFp8Fp4, kDropDrafter);
  run_export(folder / "plain", folder / "attached", ExportDtype::kFp8Fp4, folder / "release");
  expect_same_drafter(folder / "release", folder / "attached");
  EXPECT_TRUE(run_export(folder / "preview", folder / "replaced", ExportDtype::kFp8Fp4, folder / "release").mtp_dropped);
  expect_same_drafter(folder / "release", folder / "replaced");

  ModelConfig other = tiny_config();
  other.hidden_size = 192;
  write_dspark_folder(folder / "wide", with_dspark(quantised(other), 3, 8, 47));
  EXPECT_ERROR(run_export(folder / "plain", folder / "x", ExportDtype::kFp8Fp4, folder / "wide"), ErrorKind::kConfig, "hidden_size = 192, the model has 160");
  EXPECT_ERROR(run_export(folder / "plain", folder / "x", ExportDtype::kFp8Fp4, folder / "preview"), ErrorKind::kCheckpoint, "no DSpark drafter in this folder (found: mtp)");
  EXPECT_ERROR(run_export(folder / "plain", folder / "x", ExportDtype::kFp8Fp4, folder / "plain"), ErrorKind::kCheckpoint, "no DSpark drafter in this folder (found: none)");
  EXPECT_ERROR(run_export(folder / "plain", folder / "x", ExportDtype::kFp8Fp4, folder / "nowhere"), ErrorKind::kConfig, "nowhere");
  EXPECT_FALSE(fs::exists(folder / "x"));
}

// A checkpoint of the mini, with the record of its drafter.
fs::path write_checkpoint(const fs::path& folder, const ModelConfig& config, const DrafterRecord& record) {
  CheckpointContent content{.step = 3, .tensors = {}, .files = {{"config.json", to_json(config).dump()}}};
  content.carried.push_back(to_json(record));
  for (const TensorRow& row : tensor_map(config))
    content.tensors.push_back(whole_tensor(std::string(kWeightPrefix) + row.name, row.holds_ids() ? distinct_ids(row.shape) : random_tensor(row.shape, row.name)));
  CheckpointWriter writer({.folder = folder});
  writer.save(content);
  writer.wait();
  return folder / "step-3";
}

TEST(Drafter, ACheckpointRecordsItAndAnExportReadsItFromItsFolder) {
  const TempFolder folder;
  write_dspark_folder(folder / "release", mini());
  const DrafterRecord record = open_mini(folder / "release").record();
  EXPECT_EQ(drafter_record_from_json(to_json(record), "here"), record);
  const fs::path step = write_checkpoint(folder / "run", mini().main, record);
  run_export(step, folder / "exported", ExportDtype::kFp8Fp4);
  expect_same_drafter(folder / "release", folder / "exported");
  EXPECT_TRUE(read_file(folder / "exported/README.md").find("fewer drafts may be accepted") != std::string::npos);
  EXPECT_EQ(ModelFolderSource(folder / "exported").release().drafter, DrafterKind::kDspark);

  fs::rename(folder / "release", folder / "moved");
  EXPECT_ERROR(run_export(step, folder / "x", ExportDtype::kFp8Fp4), ErrorKind::kCheckpoint, "a folder that is gone");
  EXPECT_ERROR(run_export(step, folder / "x", ExportDtype::kFp8Fp4), ErrorKind::kCheckpoint, "--drafter drop");
  run_export(step, folder / "dropped", ExportDtype::kFp8Fp4, kDropDrafter);
  EXPECT_TRUE(has_no_drafter(folder / "dropped"));
  run_export(step, folder / "from_moved", ExportDtype::kFp8Fp4, folder / "moved");
  expect_same_drafter(folder / "moved", folder / "from_moved");
}

TEST(Drafter, OneChangedByteOfTheRecordedFolderIsFound) {
  const TempFolder folder;
  write_dspark_folder(folder / "release", mini());
  const fs::path step = write_checkpoint(folder / "run", mini().main, open_mini(folder / "release").record());
  const SafetensorsFolder files(folder / "release");
  const uint64_t at = files.entry("mtp.1.ffn.experts.2.w2.weight").stored->offset + 5;
  std::string content = read_file(folder / "release/model.safetensors");
  content[at] = static_cast<char>(content[at] ^ 1);
  write_file_atomic(folder / "release/model.safetensors", content);
  EXPECT_ERROR(run_export(step, folder / "x", ExportDtype::kFp8Fp4), ErrorKind::kCheckpoint, "its digest is not the recorded one");
  EXPECT_FALSE(fs::exists(folder / "x"));
  EXPECT_FALSE(fs::exists(folder / "x.partial"));
}

TEST(Drafter, TheDigestDoesNotDependOnFilesAndTheirOrder) {
  const TempFolder folder;
  write_dspark_folder(folder / "a", mini());
  run_export(folder / "a", folder / "b", ExportDtype::kBf16);   // several shards, another order
  EXPECT_GT(SafetensorsFolder(folder / "b").n_files(), 2u);
  EXPECT_EQ(open_mini(folder / "a").digest(), open_mini(folder / "b").digest());
}

TEST(Drafter, MalformedFoldersAreRefusedWhereverTheyAreOpened) {
  const TempFolder folder;
  write_dspark_folder(folder / "a", mini(), only(mini_tensors(), "mtp.1.", false));
  EXPECT_ERROR(open_weights(folder / "a"), ErrorKind::kCheckpoint, "lacks stage mtp.1");
  EXPECT_ERROR(open_mini(folder / "a"), ErrorKind::kCheckpoint, "lacks stage mtp.1");
}

TEST(Drafter, IsCopiedInPartsNotHeldInMemory) {
  const TempFolder folder;
  auto tensors = mini_tensors();
  DsparkModel large = with_dspark(quantised(tiny_config()), 3, 160, 47);
  large.main.vocab_size = 200000;
  for (auto& [name, value] : tensors) {
    if (name == "embed.weight" || name == "head.weight" || name.find("markov_w") != std::string::npos) value = at::full({200000, 160}, 0.5, at::kBFloat16);   // 64 MB each
    if (name.ends_with("tid2eid")) value = distinct_ids({200000, large.main.top_k});
    if (name == "mtp.2.confidence_head.proj.weight") value = at::full({1, 320}, 0.5, at::kBFloat16);
  }
  write_dspark_folder(folder / "a", large, tensors);
  tensors.clear();
  const size_t before = allocator_stats().in_use_bytes;
  reset_allocator_peak();
  run_export(folder / "a", folder / "b", ExportDtype::kFp8Fp4);
  EXPECT_LT(allocator_stats().peak_bytes - before, 64u << 20);
  expect_same_drafter(folder / "a", folder / "b");
}

TEST(ModelCard, KeepsTheUsersTextAndReplacesItsOwnSection) {
  const std::string first = card_with_section("# Mine\n\ntext", "drafter", "one");
  EXPECT_EQ(first, "# Mine\n\ntext\n\n<!-- temper drafter -->\none\n<!-- end of temper drafter -->\n");
  const std::string second = card_with_section(first, "drafter", "two");
  EXPECT_EQ(second, "# Mine\n\ntext\n\n<!-- temper drafter -->\ntwo\n<!-- end of temper drafter -->\n");
  EXPECT_EQ(card_with_section(second + "more\n", "drafter", ""), "# Mine\n\ntext\n\nmore\n");
  EXPECT_EQ(card_with_section(std::nullopt, "drafter", "x"), "# Model\n\n<!-- temper drafter -->\nx\n<!-- end of temper drafter -->\n");
}

TEST(ModelCard, OfAnExportKeepsTheSourcesCardWithOneSectionHoweverOftenItIsExported) {
  const TempFolder folder;
  write_dspark_folder(folder / "a", mini());
  write_file_atomic(folder / "a/README.md", "# My model\n");
  run_export(folder / "a", folder / "b", ExportDtype::kFp8Fp4);
  run_export(folder / "b", folder / "c", ExportDtype::kFp8Fp4);
  const std::string card = read_file(folder / "c/README.md");
  EXPECT_TRUE(card.starts_with("# My model\n"));
  EXPECT_NE(card.find("DSpark drafter of 3 stages"), std::string::npos);
  EXPECT_EQ(card.find("## Drafter"), card.rfind("## Drafter"));
  run_export(folder / "c", folder / "d", ExportDtype::kFp8Fp4, kDropDrafter);
  EXPECT_EQ(read_file(folder / "d/README.md").find("Drafter"), std::string::npos);
}

}  // namespace
}  // namespace temper
