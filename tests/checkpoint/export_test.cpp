// What is imported and exported has the values it had; the official layout is byte for byte what the tensor map says.
#include "checkpoint/export.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "checkpoint/load_model.h"
#include "checkpoint/training_checkpoint.h"
#include "kernels/quant.h"
#include "model/deepseek_v4/released_json.h"
#include "support/expect_error.h"
#include "support/expert_table.h"
#include "support/interrupt_request.h"
#include "support/temp_folder.h"
#include "support/tensors.h"
#include "support/tiny_model.h"
#include "tensor/allocator.h"
#include "test_places.h"

namespace temper {
namespace {

using namespace test;

fs::path golden(const std::string& name) { return fs::path(TEMPER_SOURCE_DIR) / "tests/golden" / name; }

ModelConfig official() {
  ModelConfig config = tiny_config();
  config.quantized = true;
  config.expert_encoding = Encoding::kFp4Block32;
  return config;
}

ExportReport run_export(const fs::path& from, const fs::path& to, ExportDtype dtype, uint64_t shard = uint64_t{1} << 40) {
  return export_model(*open_weights(from), to, {.dtype = dtype, .max_shard_bytes = shard});
}

void expect_same_weights(const fs::path& a, const fs::path& b) {
  const LoadedModel first = load_model(a), second = load_model(b);
  ASSERT_EQ(first.weights.parameters().size(), second.weights.parameters().size());
  for (const Parameter& p : first.weights.parameters()) EXPECT_TRUE(at::equal(p.master, second.weights.parameter(p.row.name).master)) << p.row.name;
}

TEST(Export, AnUntouchedImportOfTheOfficialLayoutIsValueIdenticalInEveryDtype) {
  const TempFolder folder;
  write_model_folder(folder / "released", official(), random_stored_tensors(official()));
  const ExportReport import = run_export(folder / "released", folder / "imported", ExportDtype::kExact, 300000);
  EXPECT_EQ(import.n_rounded, 0);
  EXPECT_GT(import.n_files, 2);
  expect_same_weights(folder / "released", folder / "imported");
  EXPECT_EQ(SafetensorsFolder(folder / "imported").entry("layers.1.ffn.experts.2.w1.weight").stored->dtype, StoredDtype::kBF16);
  EXPECT_FALSE(read_model_config(folder / "imported").quantized);
  for (const ExportDtype dtype : {ExportDtype::kBf16, ExportDtype::kFloat32, ExportDtype::kFp8Fp4}) {
    const fs::path to = folder / ("exported" + std::to_string(static_cast<int>(dtype)));
    EXPECT_EQ(run_export(folder / "imported", to, dtype).n_rounded, 0);
    expect_same_weights(folder / "released", to);
  }
}

TEST(Export, TheOfficialLayoutHasTheReleasedNamesTypesAndShapes) {
  const TempFolder folder;
  write_model_folder(folder / "bf16", tiny_config(), random_stored_tensors(tiny_config()));
  const ExportReport report = run_export(folder / "bf16", folder / "official", ExportDtype::kFp8Fp4);
  EXPECT_GT(report.n_rounded, 0);   // bf16 weights do not fit FP8 and FP4
  const SafetensorsFolder files(folder / "official");
  const ModelConfig config = read_model_config(folder / "official");
  EXPECT_TRUE(config.quantized);
  const auto expected = stored_tensors(config);
  ASSERT_EQ(files.names().size(), expected.size());
  uint64_t bytes = 0;
  for (const StoredTensor& tensor : expected) {
    const StoredTensor& stored = *files.entry(tensor.name).stored;
    EXPECT_EQ(stored.dtype, tensor.dtype) << tensor.name;
    EXPECT_EQ(stored.shape, tensor.shape) << tensor.name;
    bytes += tensor.bytes;
  }
  EXPECT_EQ(report.data_bytes, bytes);
  for (const std::string& name : files.names()) {   // readers that map the file need it
    const StoredTensor& stored = *files.entry(name).stored;
    EXPECT_EQ(stored.offset % stored_dtype_bytes(stored.dtype), 0u) << name;
  }
  // What lies in the files is the rounding that training computes with.
  const Tensor before = SafetensorsFolder(folder / "bf16").tensor("layers.0.attn.wo_b.weight").to(at::kFloat);
  EXPECT_TRUE(at::equal(load_model(folder / "official").weights.parameter("layers.0.attn.wo_b.weight").master, fake_quant_fp8_block(before)));
}

TEST(Export, EverySpellingIsImportedUnderReleasedNames) {
  const TempFolder folder;
  for (const std::string dialect : {"transformers", "save_pretrained"}) {
    const ExportReport report = run_export(golden("dialects/" + dialect), folder / dialect, ExportDtype::kExact);
    EXPECT_TRUE(report.mtp_missing);
    std::vector<std::string> names = SafetensorsFolder(folder / dialect).names(), released = SafetensorsFolder(golden("dialects/released")).names();
    std::sort(names.begin(), names.end());
    std::sort(released.begin(), released.end());
    EXPECT_EQ(names, released);
    expect_same_weights(golden("dialects/released"), folder / dialect);
    EXPECT_EQ(to_json(read_model_config(folder / dialect)), to_json(without_mtp(read_model_config(golden("dialects/released")))));
  }
}

TEST(Export, CopiesTheTokenizerAndKeepsKeysOfTheConfigThatItDoesNotKnow) {
  const TempFolder folder;
  ModelConfig config = official();
  write_model_folder(folder / "a", config, random_stored_tensors(config));
  Json json = to_json(config);
  json["some_later_key"] = 7;
  write_file_atomic(folder / "a/config.json", json.dump());
  write_file_atomic(folder / "a/tokenizer.json", "{\"x\": 1}");
  write_file_atomic(folder / "a/README.md", "# the original weights");
  const ExportReport report = run_export(folder / "a", folder / "b", ExportDtype::kBf16);
  EXPECT_EQ(report.written_files, (std::vector<std::string>{"config.json", "tokenizer.json"}));
  EXPECT_EQ(report.not_carried, (std::vector<std::string>{"README.md"}));
  EXPECT_EQ(read_file(folder / "b/tokenizer.json"), "{\"x\": 1}");
  const Json written = read_json(folder / "b/config.json");
  EXPECT_EQ(written.at("some_later_key"), 7);
  EXPECT_FALSE(written.contains("quantization_config"));
  EXPECT_FALSE(written.contains("expert_dtype"));
}

// The dtype of most of what was written.
TEST(Export, TorchDtypeIsTheStoredDtype) {
  const TempFolder folder;
  write_model_folder(folder / "a", tiny_config(), random_stored_tensors(tiny_config()));
  const auto torch_dtype = [&](const fs::path& from, ExportDtype dtype) {
    fs::remove_all(folder / "b");
    run_export(from, folder / "b", dtype);
    return read_json(folder / "b/config.json").at("torch_dtype").get<std::string>();
  };
  EXPECT_EQ(torch_dtype(folder / "a", ExportDtype::kExact), "bfloat16");
  EXPECT_EQ(torch_dtype(folder / "a", ExportDtype::kFloat32), "float32");
  run_export(folder / "a", folder / "f32", ExportDtype::kFloat32);
  EXPECT_EQ(torch_dtype(folder / "f32", ExportDtype::kExact), "float32");
  EXPECT_EQ(torch_dtype(folder / "f32", ExportDtype::kBf16), "bfloat16");
}

TEST(Export, ATrainingCheckpointGivesItsMasters) {
  const TempFolder folder;
  const ModelConfig config = tiny_config();
  CheckpointContent content{.step = 3, .tensors = {}, .files = {{"config.json", to_json(config).dump()}, {"tokenizer.json", "{}"}}};
  for (const TensorRow& row : tensor_map(config))
    content.tensors.push_back(whole_tensor(std::string(kWeightPrefix) + row.name, row.holds_ids() ? distinct_ids(row.shape) : random_tensor(row.shape, row.name)));
  {
    CheckpointWriter writer({.folder = folder.path()});
    writer.save(content);
    writer.wait();
  }
  EXPECT_EQ(run_export(folder / "step-3", folder / "f32", ExportDtype::kFloat32).n_rounded, 0);
  expect_same_weights(folder / "step-3", folder / "f32");
  EXPECT_TRUE(fs::exists(folder / "f32/tokenizer.json"));
  EXPECT_GT(run_export(folder / "step-3", folder / "bf16", ExportDtype::kBf16).n_rounded, 0);
}

// Sizes that the public loader can and cannot infer blocks for.
TEST(Export, SaysWhatTransformersCouldNotRead) {
  EXPECT_EQ(transformers_obstacles(read_model_config(fs::path(TEMPER_SOURCE_DIR) / "configs/model/deepseek_v4_flash.json")).size(), 0u);
  ModelConfig config = official();   // hidden size 160
  const auto obstacles = transformers_obstacles(config);
  ASSERT_FALSE(obstacles.empty());
  EXPECT_EQ(obstacles[0], "layers.*.attn.wq_a.weight [64, 160]: FP8 sizes must be at most 128 or multiples of 128");
  config = tiny_config();
  EXPECT_TRUE(transformers_obstacles(config).empty());   // no blocks, no rule
  config.head_dim = 88;
  config.rope_head_dim = 30;
  EXPECT_EQ(transformers_obstacles(config), (std::vector<std::string>{"head_dim 88 with 30 rotary dims: it would rotate 29"}));
}

TEST(Export, WeightsThatAreNotFiniteAndOccupiedFoldersAreRefusedAndNothingIsLeft) {
  const TempFolder folder;
  auto tensors = random_stored_tensors(tiny_config());
  for (auto& [name, value] : tensors)
    if (name == "layers.1.attn.wq_b.weight") value[0][0] = std::numeric_limits<float>::quiet_NaN();
  write_model_folder(folder / "a", tiny_config(), tensors);
  EXPECT_ERROR(run_export(folder / "a", folder / "b", ExportDtype::kFp8Fp4), ErrorKind::kNumerics, "layers.1.attn.wq_b.weight");
  EXPECT_FALSE(fs::exists(folder / "b"));
  EXPECT_FALSE(fs::exists(folder / "b.partial"));
  EXPECT_ERROR(run_export(folder / "a", folder / "a", ExportDtype::kBf16), ErrorKind::kConfig, "not empty");
}

TEST(Export, AFullDiskAtAnyMomentLeavesNothingBehind) {
  const TempFolder folder(memory_folder());
  write_model_folder(folder / "a", tiny_config(), random_stored_tensors(tiny_config()));
  for (const int64_t fail_at : {1, 2, 3, 40, 150}) {
    int64_t n = 0;
    set_disk_hook([&](std::string_view doing, const fs::path& path) {
      if (++n == fail_at) throw_system_error(doing, path, ENOSPC);
    });
    EXPECT_ERROR(run_export(folder / "a", folder / "b", ExportDtype::kBf16, 100000), ErrorKind::kResource, "No space left");
    set_disk_hook({});
    EXPECT_FALSE(fs::exists(folder / "b"));
    EXPECT_FALSE(fs::exists(folder / "b.partial"));
  }
}

TEST(Export, CtrlCLeavesNothingBehind) {
  const TempFolder folder;
  write_model_folder(folder / "a", tiny_config(), random_stored_tensors(tiny_config()));
  {
    const InterruptRequest request;
    EXPECT_THROW(run_export(folder / "a", folder / "b", ExportDtype::kBf16), Interrupted);
  }
  EXPECT_FALSE(fs::exists(folder / "b"));
  EXPECT_FALSE(fs::exists(folder / "b.partial"));
}

// A model of large matrices: the tensors in memory at once stay far below it.  (tools/test-all.sh does it with 2 GB and
// the process's resident set.)
TEST(Export, HoldsOnlyPartsInMemory) {
  const TempFolder folder;
  ModelConfig config = official();
  auto tensors = random_stored_tensors(config);
  config.vocab_size = 200000;
  for (auto& [name, value] : tensors) {
    if (name == "embed.weight" || name == "head.weight") value = at::full({config.vocab_size, config.hidden_size}, 0.5, at::kBFloat16);
    if (name.ends_with("tid2eid")) value = distinct_ids({config.vocab_size, config.top_k});
  }
  write_model_folder(folder / "a", config, tensors);
  tensors.clear();
  const size_t before = allocator_stats().in_use_bytes;
  reset_allocator_peak();
  run_export(folder / "a", folder / "b", ExportDtype::kFloat32);
  EXPECT_LT(allocator_stats().peak_bytes - before, 64u << 20);   // a few parts of 16 MB; each of two tensors has 128 MB
  EXPECT_GT(fs::file_size(folder / "b/model.safetensors"), 240u << 20);
}

}  // namespace
}  // namespace temper
