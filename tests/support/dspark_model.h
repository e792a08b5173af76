#pragma once
// Models with a DSpark drafter, made from models without one.

#include <utility>

#include "model/deepseek_v4/dspark.h"
#include "support/tiny_model.h"

namespace temper::test {

/// The main model and its drafter.
struct DsparkModel {
  ModelConfig main;
  DsparkConfig dspark;
  Json config() const {
    Json json = to_json(main);
    set_dspark_keys(json, main, dspark.keys, dspark.n_stages());
    return json;
  }
  std::vector<StoredTensor> tensors() const { return stored_tensors(main, dspark); }
};

/// `config` with a drafter of so many stages that reads the last layers, in place of its MTP layers.
inline DsparkModel with_dspark(const ModelConfig& config, int64_t n_stages, int64_t markov_rank, int64_t noise_token_id) {
  std::vector<int64_t> layers;
  for (int64_t s = 0; s < n_stages; ++s) layers.push_back(config.n_layers - n_stages + s);
  DsparkModel model{.main = without_mtp(config), .dspark = {}};
  Json json = to_json(model.main);
  set_dspark_keys(json, model.main, {{"dspark_block_size", 5}, {"dspark_noise_token_id", noise_token_id}, {"dspark_target_layer_ids", layers}, {"dspark_markov_rank", markov_rank}}, n_stages);
  model.dspark = *parse_dspark_config(json, model.main);
  return model;
}

/// config.json and model.safetensors of `tensors`; all of the model's, at random, if none are given.
inline void write_dspark_folder(const fs::path& folder, const DsparkModel& model, std::vector<std::pair<std::string, Tensor>> tensors = {}) {
  write_model_folder(folder, model.main, tensors.empty() ? random_tensors_of(model.tensors(), model.main) : tensors);
  write_file_atomic(folder / "config.json", model.config().dump(2));
}

/// The tensors whose names begin so, or the others.
inline std::vector<std::pair<std::string, Tensor>> only(const std::vector<std::pair<std::string, Tensor>>& tensors, const std::string& prefix, bool begin_so) {
  std::vector<std::pair<std::string, Tensor>> found;
  for (const auto& [name, value] : tensors)
    if (name.starts_with(prefix) == begin_so) found.emplace_back(name, value);
  return found;
}

}  // namespace temper::test
