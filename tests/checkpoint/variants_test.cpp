// Copies of a model as other people publish them: read to the bit, settled by what is stored, exported again.

#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "checkpoint/export.h"
#include "checkpoint/load_model.h"
#include "checkpoint/model_folder_source.h"
#include "kernels/quant.h"
#include "support/expect_error.h"
#include "support/temp_folder.h"
#include "support/tensors.h"
#include "support/variants.h"

namespace temper {
namespace {

using namespace test;

class Variants : public ::testing::Test {
 protected:
  Variants() {
    config_ = tiny_config();
    config_.quantized = true;
    config_.expert_encoding = Encoding::kFp4Block32;
    files_ = random_stored_tensors(config_);
    json_ = to_json(config_);
    write("source", files_);
  }
  void write(const std::string& name, const Named& files) {
    fs::remove_all(folder_ / name);
    write_model_folder(folder_ / name, config_, files);
    write_file_atomic(folder_ / name / "config.json", json_.dump(2));
  }
  // The values of the source, of every tensor or of all but MTP.
  void expect_values_of_source(const std::string& name, bool mtp = true) {
    const LoadedModel truth = load_model(folder_ / "source", {.mtp = mtp}), found = load_model(folder_ / name);
    ASSERT_EQ(found.weights.parameters().size(), truth.weights.parameters().size()) << name;
    for (const Parameter& p : truth.weights.parameters()) EXPECT_TRUE(at::equal(p.master, found.weights.parameter(p.row.name).master)) << name << " " << p.row.name;
  }
  void expect_refused(const std::string& message) { EXPECT_ERROR(ModelFolderSource(folder_ / "copy"), ErrorKind::kCheckpoint, message); }
  bool has_note(const std::string& name, const std::string& words) {
    const auto source = open_weights(folder_ / name);
    return std::any_of(source->notes().begin(), source->notes().end(), [&](const std::string& note) { return note.find(words) != std::string::npos; });
  }
  ExportReport run_export(const std::string& from, const std::string& to, ExportDtype dtype) { return export_model(*open_weights(folder_ / from), folder_ / to, {.dtype = dtype}); }
  Named values_in_bf16() {
    const auto source = open_weights(folder_ / "source");
    return as_bf16(files_, [&](const std::string& name) {
      for (const TensorRow& row : source->rows())
        if (row.name == name) return source->read_rows(row, 0, row.shape[0]).clone();
      return Tensor();
    });
  }
  std::string encoding_of(const std::string& folder, const std::string& tensor) { return std::string(stored_dtype_name(SafetensorsFolder(folder_ / folder).entry(tensor).stored->dtype)); }

  TempFolder folder_;
  ModelConfig config_;
  Named files_;
  Json json_;
};

TEST_F(Variants, WrappersAroundNamesDoNotMatter) {
  const std::vector<std::function<std::string(const std::string&)>> wrappers = {
      [](const std::string& n) { return "module." + n; },
      [](const std::string& n) { return "_orig_mod." + n; },
      [](const std::string& n) { return "model.module._orig_mod." + n; },
      [](const std::string& n) { return n.starts_with("layers.1.") ? "model.layers.1._orig_mod." + n.substr(9) : "model." + n; },
      [](const std::string& n) { return n.starts_with("mtp.0.") ? "_fsdp_wrapped_module.mtp.0._checkpoint_wrapped_module." + n.substr(6) : n; },
      mixed_dialect_name};
  for (size_t i = 0; i < wrappers.size(); ++i) {
    write("copy", renamed(with_u8_scales(files_), wrappers[i]));
    expect_values_of_source("copy");
  }
}

TEST_F(Variants, ScalesWithoutAnE8m0TypeAreTheSameScales) {
  write("copy", with_u8_scales(files_));
  expect_values_of_source("copy");
}

TEST_F(Variants, FrequenciesAreNoWeights) {
  Named files = files_;
  files.emplace_back("model.rotary_emb.inv_freq", at::ones({8}));
  files.emplace_back("layers.0.attn.rotary_emb.inv_freq", at::ones({8}));
  write("copy", files);
  expect_values_of_source("copy");
  EXPECT_TRUE(has_note("copy", "2 tensors are no weights and are not read: "));
}

TEST_F(Variants, ACopyInBf16IsReadWithOneWarningForWhatReleasesStoreInF32) {
  const Named files = values_in_bf16();
  json_.erase("quantization_config");
  json_.erase("expert_dtype");
  write("copy", files);
  const auto narrow = std::count_if(files_.begin(), files_.end(), [](const auto& file) { return file.second.scalar_type() == at::kFloat; });
  EXPECT_TRUE(has_note("copy", fmt::format("{} tensors are stored in 16 bits that releases store in F32", narrow)));
  const LoadedModel model = load_model(folder_ / "copy");
  for (const auto& [name, value] : files) EXPECT_TRUE(at::equal(model.weights.parameter(name).master, value.to(model.weights.parameter(name).master.scalar_type()))) << name;
  // In the mixed dialect and without MTP too; exports have F32 again.
  write("mixed", renamed(files, [](const std::string& n) { return n.starts_with("mtp.") ? "" : mixed_dialect_name(n); }));
  EXPECT_EQ(load_model(folder_ / "mixed").weights.parameters().size(), load_model(folder_ / "source", {.mtp = false}).weights.parameters().size());
  EXPECT_EQ(run_export("mixed", "export", ExportDtype::kBf16).n_rounded, 0);
  EXPECT_EQ(encoding_of("export", "layers.0.hc_attn_fn"), "F32");
}

TEST_F(Variants, BaseIsReadWithItsFloatScalesAndWithoutTheCopiesOfItsVocabulary) {
  config_.expert_encoding = Encoding::kFp8Block128;
  config_.scales_are_e8m0 = false;
  files_ = random_stored_tensors(config_);
  json_ = to_json(config_);
  json_["quantization_config"]["scale_fmt"] = "ue8m0";   // as the release has it
  write("source", files_);
  Named base = files_;
  base.emplace_back("mtp.0.emb.tok_emb.weight", tensor_of(files_, "embed.weight").clone());
  base.emplace_back("mtp.0.head.weight", tensor_of(files_, "head.weight").clone());
  write("base", base);
  expect_values_of_source("base");
  EXPECT_TRUE(has_note("base", "mtp.0.emb.tok_emb.weight and mtp.0.head.weight equal embed.weight and head.weight: the copies are dropped"));
  EXPECT_TRUE(has_note("base", "scales are F32"));
  const auto source = open_weights(folder_ / "base");
  EXPECT_FALSE(source->config().scales_are_e8m0);
  EXPECT_EQ(source->config().expert_encoding, Encoding::kFp8Block128);
  // Scales that are no powers of two need F32, which `exact` writes; scales that are fit bf16.
  run_export("base", "exact", ExportDtype::kExact);
  EXPECT_EQ(encoding_of("exact", "layers.0.attn.wq_a.weight"), "F32");
  expect_values_of_source("exact");
  for (auto& [name, tensor] : base)
    if (name.ends_with(".scale")) tensor = at::ones_like(tensor) * 0.0625;
  write("base", base);
  run_export("base", "exact2", ExportDtype::kExact);
  EXPECT_EQ(encoding_of("exact2", "layers.0.attn.wq_a.weight"), "BF16");
  EXPECT_EQ(run_export("base", "fp8", ExportDtype::kFp8Fp4).n_rounded, 0);
  EXPECT_EQ(encoding_of("fp8", "layers.0.ffn.experts.0.w1.weight"), "F8_E4M3");
  EXPECT_EQ(read_json(folder_ / "fp8/config.json").at("expert_dtype"), "fp8");

  tensor_of(base, "mtp.0.head.weight")[0][0] += 1;
  write("copy", base);
  expect_refused("mtp.0.head.weight differs from head.weight");
}

TEST_F(Variants, AnFp8CopyIsReadByWhatIsStoredWhateverItsConfigSays) {
  config_.expert_encoding = Encoding::kFp8Block128;
  files_ = random_stored_tensors(config_);
  json_ = to_json(config_);
  write("source", files_);
  const Tensor wo_a = load_model(folder_ / "source").weights.parameter("layers.0.attn.wo_a.weight").master;
  Named files = renamed(files_, [](const std::string& n) { return n == "layers.0.attn.wo_a.scale" ? "" : n; });
  tensor_of(files, "layers.0.attn.wo_a.weight") = wo_a.to(at::kBFloat16);
  json_.erase("expert_dtype");
  write("copy", files);
  expect_values_of_source("copy");
  EXPECT_TRUE(open_weights(folder_ / "copy")->notes().empty());   // the key may be missing
  json_["expert_dtype"] = "fp4";
  write("copy", files);
  expect_values_of_source("copy");
  EXPECT_TRUE(has_note("copy", "config.json says expert_dtype \"fp4\", but the experts are stored as fp8"));
  json_.erase("quantization_config");
  write("copy", files);
  expect_values_of_source("copy");
  EXPECT_TRUE(has_note("copy", "config.json has no quantization_config"));
  EXPECT_EQ(run_export("copy", "export", ExportDtype::kFp8Fp4).n_rounded, 0);
  EXPECT_EQ(encoding_of("export", "layers.0.ffn.experts.0.w1.weight"), "F8_E4M3");
  expect_values_of_source("export");
}

TEST_F(Variants, Nvfp4MadeFromFp4HasItsValuesAndBecomesItAgain) {
  write("copy", as_nvfp4(files_));
  expect_values_of_source("copy");
  run_export("copy", "exact", ExportDtype::kExact);
  EXPECT_EQ(encoding_of("exact", "layers.0.ffn.experts.0.w1.weight"), "BF16");
  expect_values_of_source("exact");
  const ExportReport report = run_export("copy", "official", ExportDtype::kFp8Fp4);
  EXPECT_EQ(report.n_rounded, 0);
  EXPECT_EQ(report.n_nvfp4, 3 * config_.n_routed_experts * config_.n_layers);
  EXPECT_EQ(report.n_nvfp4_as_fp4, report.n_nvfp4);
  EXPECT_EQ(encoding_of("official", "layers.0.ffn.experts.0.w1.weight"), "I8");
  EXPECT_EQ(read_json(folder_ / "official/config.json").at("expert_dtype"), "fp4");
  expect_values_of_source("official");
}

TEST_F(Variants, OneNvfp4MatrixThatFp4CannotHoldMakesTheExpertsFp8) {
  Named files = as_nvfp4(files_);
  const std::string name = "layers.1.ffn.experts.2.w2";
  Tensor scales = tensor_of(files, name + ".weight_scale").view(at::kByte).clone();
  scales[3][1] = 0x5c;   // 1.5 * 2^4
  tensor_of(files, name + ".weight_scale") = scales.view(at::ScalarType::Float8_e4m3fn);
  tensor_of(files, name + ".weight").narrow(0, 3, 1).fill_(0x71);   // values 0.5 and 6: no other power of two fits them
  write("copy", files);
  const Tensor read = load_model(folder_ / "copy").weights.parameter(name + ".weight").master;
  const float factor = tensor_of(files, name + ".weight_scale_2").item<float>();
  for (int64_t c = 16; c < 32; ++c) EXPECT_EQ(read[3][c].item<float>(), (c % 2 ? 6.0f : 0.5f) * 24.0f * factor) << c;
  const ExportReport report = run_export("copy", "official", ExportDtype::kFp8Fp4);
  EXPECT_EQ(report.n_nvfp4 - report.n_nvfp4_as_fp4, 1);
  EXPECT_EQ(report.n_rounded, 0);   // the finer scale is a number of E4M3 here
  for (const char* matrix : {"1.ffn.experts.2.w2", "1.ffn.experts.2.w1", "0.ffn.experts.0.w1"}) EXPECT_EQ(encoding_of("official", fmt::format("layers.{}.weight", matrix)), "F8_E4M3");
  EXPECT_EQ(read_json(folder_ / "official/config.json").at("expert_dtype"), "fp8");
  EXPECT_TRUE(at::equal(load_model(folder_ / "official").weights.parameter(name + ".weight").master, read));
  run_export("copy", "exact", ExportDtype::kExact);
  EXPECT_TRUE(at::equal(load_model(folder_ / "exact").weights.parameter(name + ".weight").master, read));
}

TEST_F(Variants, AFactorThatIsNoPowerOfTwoNeedsF32) {
  Named files = as_nvfp4(files_);
  tensor_of(files, "layers.0.ffn.experts.0.w1.weight_scale_2").fill_(0.3f);
  write("copy", files);
  run_export("copy", "exact", ExportDtype::kExact);
  EXPECT_EQ(encoding_of("exact", "layers.0.ffn.experts.0.w1.weight"), "F32");
  EXPECT_EQ(run_export("copy", "bf16", ExportDtype::kBf16).n_rounded, 1);
}

// A foreign or damaged copy, and what the error says of it.
struct Fault {
  const char *name, *tensor;
  Tensor (*value)();
  const char* message;
};

TEST_F(Variants, CopiesOfOtherToolsAreNamedForWhatTheyAre) {
  const auto row_scales = [] { return at::ones({64, 1}); };
  const auto integers = [] { return at::ones({64, 160}, at::kChar); };
  const auto one = [] { return at::ones({1}); };
  const Fault faults[] = {
      {"compressed-tensors", "layers.0.ffn.experts.0.w1.weight_packed", one, "layers.0.ffn.experts.0.w1.weight_packed is a tensor of compressed-tensors (llm-compressor), which cannot be read"},
      {"its factor", "layers.0.ffn.experts.0.w1.weight_global_scale", one, "compressed-tensors"},
      {"awq", "module.layers.0.attn.wq_a.qweight", one, "layers.0.attn.wq_a.qweight is a tensor of AWQ or GPTQ"},
      {"quarot", "layers.0.attn.quarot.weight", one, "int8 copy for Ascend"},
      {"an adapter", "base_model.model.layers.0.attn.wq_a.lora_A.weight", one, "an adapter (LoRA) without its base model"},
      {"int8", "layers.1.attn.wq_a.weight", integers, "layers.1.attn.wq_a.weight is I8 [64, 160]: integer weights, as int8 (W8A8, QuaRot) copies have"},
      {"FP8 by row", "layers.1.attn.wq_a.scale", row_scales, "layers.1.attn.wq_a.scale is F32 [64, 1], needed is F8_E8M0 or F32 [1, 2]: one scale for each row"},
      {"FP8 by matrix", "layers.1.attn.wq_a.scale", one, "one scale for the whole matrix"}};
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.name);
    Named files = files_;
    std::erase_if(files, [&](const auto& file) { return file.first == fault.tensor; });
    files.emplace_back(fault.tensor, fault.value());
    write("copy", files);
    expect_refused(fault.message);
  }
  Named files = as_nvfp4(files_);
  std::erase_if(files, [](const auto& file) { return file.first == "layers.0.ffn.experts.1.w2.weight_scale_2"; });
  write("copy", files);
  expect_refused("layers.0.ffn.experts.1.w2.weight_scale is a scale of NVFP4, but the factor weight_scale_2 is missing");
}

TEST_F(Variants, FilesThatAreNotThereAreNamedForWhatIsInTheirPlace) {
  const auto put = [&](const std::string& name, const std::string& content) { write_file_atomic(folder_ / "copy" / name, content); };
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
  write("copy", files_);
  put("model.safetensors", pointer);
  expect_refused("Git LFS pointer, not the file itself (which has 12345 bytes)");
  put("model.safetensors", "\n <!DOCTYPE html><html><body>404</body></html>");
  expect_refused("HTML or XML page");
  write("copy", files_);
  put("config.json", pointer);
  EXPECT_ERROR(open_weights(folder_ / "copy"), ErrorKind::kConfig, "Git LFS pointer");

  write("copy", files_);
  put("model.safetensors.index.json", R"({"weight_map": {"embed.weight": "model-00001-of-00002.safetensors", "head.weight": "model-00002-of-00002.safetensors"}})");
  expect_refused("none of the 2 shards of the index is here, but model.safetensors is: the index was left by an earlier save");
  fs::rename(folder_ / "copy/model.safetensors", folder_ / "copy/model-00001-of-00002.safetensors");
  expect_refused("the shard model-00002-of-00002.safetensors is missing (1 of 2)");
  fs::remove(folder_ / "copy/model.safetensors.index.json");
  expect_refused("1 of 2 shards are here, and no index");
  fs::rename(folder_ / "copy/model-00001-of-00002.safetensors", folder_ / "copy/pytorch_model.bin");
  expect_refused("the weights are in pytorch_model.bin: only safetensors can be read");
}

TEST_F(Variants, AnIndexMayNameItsShardsWithADotAndASlash) {
  write("copy", files_);
  std::string map;
  for (const auto& [name, tensor] : files_) map += fmt::format("{}\"{}\": \"./model.safetensors\"", map.empty() ? "" : ", ", name);
  write_file_atomic(folder_ / "copy/model.safetensors.index.json", "{\"weight_map\": {" + map + "}}");
  expect_values_of_source("copy");
}

}  // namespace
}  // namespace temper
