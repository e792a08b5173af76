#include "model/deepseek_v4/dspark.h"

#include <fmt/format.h>

namespace temper {
namespace {

bool is_dspark_key(const std::string& key) { return key.starts_with("dspark_"); }

// The member as a whole number, or a fault.
int64_t integer(const Json& config, const char* key, std::string& fault) {
  const auto found = config.find(key);
  if (found != config.end() && found->is_number_integer()) return found->get<int64_t>();
  if (fault.empty()) fault = found == config.end() ? fmt::format("the key \"{}\" is missing", key) : fmt::format("{} = {} must be a whole number", key, found->dump());
  return 0;
}

std::vector<int64_t> integers(const Json& config, const char* key, std::string& fault) {
  std::vector<int64_t> list;
  const auto found = config.find(key);
  bool good = found != config.end() && found->is_array();
  if (good)
    for (const Json& item : *found) good = good && item.is_number_integer();
  if (good) return found->get<std::vector<int64_t>>();
  if (fault.empty()) fault = found == config.end() ? fmt::format("the key \"{}\" is missing", key) : fmt::format("{} = {} must be a list of whole numbers", key, found->dump());
  return list;
}

std::string fault_of(const DsparkConfig& d, const ModelConfig& main) {
  if (d.block_size <= 0) return fmt::format("dspark_block_size = {} must be positive", d.block_size);
  if (d.markov_rank <= 0) return fmt::format("dspark_markov_rank = {} must be positive", d.markov_rank);
  if (d.markov_rank > main.vocab_size) return fmt::format("dspark_markov_rank = {} exceeds the {} token ids", d.markov_rank, main.vocab_size);
  if (d.noise_token_id < 0 || d.noise_token_id >= main.vocab_size)
    return fmt::format("dspark_noise_token_id = {} is not one of the {} token ids", d.noise_token_id, main.vocab_size);
  if (d.target_layer_ids.empty()) return "dspark_target_layer_ids lists no layer";
  for (size_t i = 0; i < d.target_layer_ids.size(); ++i) {
    const int64_t layer = d.target_layer_ids[i];
    if (layer < 0 || layer >= main.n_layers) return fmt::format("dspark_target_layer_ids has {}, the model's layers are 0 to {}", layer, main.n_layers - 1);
    if (i > 0 && layer <= d.target_layer_ids[i - 1])
      return fmt::format("dspark_target_layer_ids has {} after {}, needed are different layers in ascending order", layer, d.target_layer_ids[i - 1]);
  }
  return "";
}

}  // namespace

bool has_dspark_keys(const Json& config) {
  if (!config.is_object()) return false;
  for (const auto& [key, value] : config.items())
    if (is_dspark_key(key)) return true;
  return false;
}

std::optional<DsparkConfig> parse_dspark_config(const Json& config, const ModelConfig& main) {
  if (!has_dspark_keys(config)) return std::nullopt;
  DsparkConfig dspark;
  for (const auto& [key, value] : config.items())
    if (is_dspark_key(key)) dspark.keys[key] = value;
  dspark.block_size = integer(config, "dspark_block_size", dspark.fault);
  dspark.noise_token_id = integer(config, "dspark_noise_token_id", dspark.fault);
  dspark.target_layer_ids = integers(config, "dspark_target_layer_ids", dspark.fault);
  dspark.markov_rank = integer(config, "dspark_markov_rank", dspark.fault);
  if (dspark.fault.empty()) dspark.fault = fault_of(dspark, main);
  if (const auto ratios = config.find("compress_ratios"); ratios != config.end() && ratios->is_array() && std::ssize(*ratios) >= main.n_layers) {
    const auto all = ratios->get<std::vector<int64_t>>();   // parse_model_config has checked them
    dspark.surplus_ratios.emplace(all.begin() + main.n_layers, all.end());
  }
  if (const auto listed = config.find("num_nextn_predict_layers"); listed != config.end() && listed->is_number_integer()) dspark.listed_mtp_layers = listed->get<int64_t>();
  return dspark;
}

std::optional<DsparkConfig> read_dspark_config(const fs::path& path, const ModelConfig& main) {
  return parse_dspark_config(read_json(fs::is_directory(path) ? path / "config.json" : path, ErrorKind::kConfig), main);
}

void set_dspark_keys(Json& config, const ModelConfig& main, const Json& keys, int64_t n_stages) {
  std::vector<std::string> others;
  for (const auto& [key, value] : config.items())
    if (is_dspark_key(key) && !keys.contains(key)) others.push_back(key);
  for (const std::string& key : others) config.erase(key);
  std::vector<int64_t> ratios(main.compress_ratios.begin(), main.compress_ratios.begin() + main.n_layers);
  ratios.resize(ratios.size() + static_cast<size_t>(n_stages), 0);
  config["compress_ratios"] = ratios;
  config["num_nextn_predict_layers"] = n_stages > 0 ? kDsparkListedMtpLayers : 0;
  for (const auto& [key, value] : keys.items()) config[key] = value;
}

std::vector<StoredTensor> stored_tensors(const ModelConfig& main, const DsparkConfig& dspark) {
  std::vector<TensorRow> rows = tensor_map(main);
  for (TensorRow& row : dspark_map(main, dspark)) rows.push_back(std::move(row));
  return stored_tensors(rows, main.scales_are_e8m0 ? StoredDtype::kF8_E8M0 : StoredDtype::kF32);
}

}  // namespace temper
