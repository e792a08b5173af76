#include "support/tiny_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include "base/rng.h"
#include "support/all_layers_config.h"
#include "support/tensors.h"

namespace temper::test {

ModelConfig tiny_config() {
  ModelConfig config = all_layers_config();
  config.vocab_size = 48;
  config.hidden_size = 160;
  config.head_dim = 32;
  config.rope_head_dim = 16;
  config.q_lora_rank = 64;
  config.o_lora_rank = 32;
  config.moe_intermediate_size = 64;
  config.sliding_window = 16;
  config.index_n_heads = 4;
  config.index_head_dim = 16;
  config.max_positions = 1024;
  return config;
}

std::vector<std::pair<std::string, Tensor>> random_stored_tensors(const ModelConfig& config) { return random_tensors_of(stored_tensors(config), config); }

std::vector<std::pair<std::string, Tensor>> random_tensors_of(const std::vector<StoredTensor>& infos, const ModelConfig& config) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const StoredTensor& info : infos) {
    const RandomStream random(11, info.name);
    const auto fill = [&](Tensor bytes, int low, int high, bool no_nan) {
      uint8_t* data = bytes.data_ptr<uint8_t>();
      for (int64_t i = 0; i < bytes.numel(); ++i) {
        data[i] = static_cast<uint8_t>(low + static_cast<int>(random.below(static_cast<uint64_t>(i), static_cast<uint64_t>(high - low + 1))));
        if (no_nan && (data[i] & 0x7f) == 0x7f) data[i] ^= 1;
      }
      return bytes;
    };
    Tensor value;
    if (info.dtype == StoredDtype::kF8_E4M3) value = fill(at::empty(info.shape, at::kByte), 0, 255, true).view(at::ScalarType::Float8_e4m3fn);
    else if (info.dtype == StoredDtype::kF8_E8M0) value = fill(at::empty(info.shape, at::kByte), 110, 122, false).view(at::ScalarType::Float8_e8m0fnu);
    else if (info.dtype == StoredDtype::kI8) value = fill(at::empty(info.shape, at::kByte), 0, 255, false).view(at::kChar);
    else if (info.dtype == StoredDtype::kBF16) value = random_tensor(info.shape, info.name, at::kBFloat16, 0.1);
    else if (info.dtype == StoredDtype::kF32) value = random_tensor(info.shape, info.name, at::kFloat, 0.1);
    else {
      value = at::empty(info.shape, at::kLong);
      for (int64_t i = 0; i < value.numel(); ++i)   // distinct ids in each row
        value.data_ptr<int64_t>()[i] = (i / config.top_k + i % config.top_k) % config.n_routed_experts;
    }
    tensors.emplace_back(info.name, value);
  }
  return tensors;
}

void write_model_folder(const fs::path& folder, const ModelConfig& config, const std::vector<std::pair<std::string, Tensor>>& tensors) {
  fs::create_directories(folder);
  write_file_atomic(folder / "config.json", to_json(config).dump(2));
  write_safetensors(folder / "model.safetensors", tensors);
}

}  // namespace temper::test
