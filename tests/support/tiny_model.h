#pragma once
// A small model with every kind of layer, its weights random, and its files in any storage format.

#include "checkpoint/safetensors.h"
#include "model/deepseek_v4/tensor_map.h"

namespace temper::test {

/// Ratios 0, 4, 128 and one MTP layer; ragged FP8 blocks (hidden 160) and several FP4 blocks in a row.
ModelConfig tiny_config();

/// The official files of this config's storage (config.quantized, expert_encoding, scales_are_e8m0), codes and scales at random
/// as a release could have them.  Deterministic.
std::vector<std::pair<std::string, Tensor>> random_stored_tensors(const ModelConfig& config);
/// The same for any list of tensors of such a model.
std::vector<std::pair<std::string, Tensor>> random_tensors_of(const std::vector<StoredTensor>& infos, const ModelConfig& config);

/// config.json and model.safetensors of `tensors`.
void write_model_folder(const fs::path& folder, const ModelConfig& config, const std::vector<std::pair<std::string, Tensor>>& tensors);

}  // namespace temper::test
