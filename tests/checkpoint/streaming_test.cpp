// Import and export of a model of about 2 GB by the program itself, watching the memory of its process.
// Disabled in ./dev test (it writes 7 GB); ./dev test-all runs it.
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint/safetensors.h"
#include "support/temp_folder.h"
#include "support/tiny_model.h"
#include "test_places.h"

namespace temper {
namespace {

constexpr int64_t kGigabyte = int64_t{1} << 30;

ModelConfig large_config() {
  ModelConfig config = test::tiny_config();
  config.vocab_size = 60000;
  config.hidden_size = 2048;
  config.n_layers = 3;
  config.n_heads = 16;
  config.head_dim = 128;
  config.moe_intermediate_size = 1024;
  config.n_routed_experts = 96;
  config.quantized = true;
  config.expert_encoding = Encoding::kFp4Block32;
  return config;
}

// Shards of constant values; constant, so that making them takes no time.
int64_t write_large_model(const fs::path& folder, const ModelConfig& config) {
  const std::vector<StoredTensor> declared = stored_tensors(config);
  std::unordered_map<std::string, StoredTensor> by_name;
  for (const StoredTensor& tensor : declared) by_name[tensor.name] = tensor;
  SafetensorsFolderWriter writer(folder, declared, {.max_shard_bytes = uint64_t{500'000'000}});
  for (const std::string& name : writer.order()) {
    const StoredTensor& tensor = by_name.at(name);
    const bool bytes = stored_dtype_bytes(tensor.dtype) == 1;
    const Tensor value = at::full(tensor.shape, tensor.dtype == StoredDtype::kF8_E8M0 ? 120 : 1, bytes ? at::kByte : scalar_type_of(tensor.dtype));
    writer.write(name, bytes ? value.view(scalar_type_of(tensor.dtype)) : value);
  }
  writer.write_file("config.json", to_json(config).dump(2));
  writer.finish();
  return static_cast<int64_t>(writer.data_bytes());
}

// The most memory the command's process ever had.
int64_t peak_bytes(const std::vector<std::string>& arguments) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<char*> argv = {const_cast<char*>(TEMPER_BINARY)};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execv(TEMPER_BINARY, argv.data());
    ::_exit(127);
  }
  int status = 0;
  struct rusage usage {};
  EXPECT_EQ(::wait4(child, &status, 0, &usage), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  return usage.ru_maxrss * 1024;
}

TEST(StreamingTest, DISABLED_ImportAndExportOfTwoGigabytesStayBelowOneGigabyteAndTheLargestTensor) {
  const test::TempFolder folder;
  const ModelConfig config = large_config();
  const int64_t model_bytes = write_large_model(folder / "released", config);
  EXPECT_GT(model_bytes, 3 * kGigabyte / 2);
  EXPECT_GT(SafetensorsFolder(folder / "released").n_files(), 3u);
  const int64_t largest = config.vocab_size * config.hidden_size * 2;   // embed, bf16
  const int64_t import_peak = peak_bytes({"import", "--from", folder / "released", "--to", folder / "imported"});
  const int64_t export_peak = peak_bytes({"export", "--from", folder / "imported", "--to", folder / "exported", "--dtype", "fp8-fp4"});
  EXPECT_LT(import_peak, kGigabyte + largest);
  EXPECT_LT(export_peak, kGigabyte + largest);
  EXPECT_EQ(static_cast<int64_t>(SafetensorsFolder(folder / "exported").data_bytes()), model_bytes);
  std::printf("model %.2f GB, peak memory: import %.0f MB, export %.0f MB\n", static_cast<double>(model_bytes) / 1e9, static_cast<double>(import_peak) / 1e6, static_cast<double>(export_peak) / 1e6);
}

}  // namespace
}  // namespace temper
