#pragma once
// A DSpark drafter as config.json and the tensor names describe it.  It is carried, not computed (docs/decisions/0006): the
// numbers here serve checks and sizes only, and ModelConfig describes the main model alone.

#include <optional>

#include "model/deepseek_v4/released_json.h"
#include "model/deepseek_v4/tensor_map.h"

namespace temper {

/// The dspark_* keys of a config.  Trainers leave them behind without the tensors, so only the tensors say whether there is a
/// drafter (release.h).
///   target_layer_ids    main layers whose output the drafter reads; one for each stage
///   surplus_ratios      of compress_ratios, those after the main layers'; nothing if the config lists no ratios
///   listed_mtp_layers   num_nextn_predict_layers
///   keys                every dspark_* member as found
///   fault               what is wrong with the numbers; empty = nothing
struct DsparkConfig {
  int64_t block_size = 0, noise_token_id = 0, markov_rank = 0;
  std::vector<int64_t> target_layer_ids;
  std::optional<std::vector<int64_t>> surplus_ratios;
  std::optional<int64_t> listed_mtp_layers;
  Json keys = Json::object();
  std::string fault;
  int64_t n_stages() const { return static_cast<int64_t>(target_layer_ids.size()); }
};

/// Releases with a DSpark drafter keep the first releases' num_nextn_predict_layers; it does not count stages.
inline constexpr int64_t kDsparkListedMtpLayers = 1;

bool has_dspark_keys(const Json& config);
/// Nothing without dspark_* keys.  `main`: what parse_model_config made of the same config.
std::optional<DsparkConfig> parse_dspark_config(const Json& config, const ModelConfig& main);
/// Reads `path`, or `path`/config.json if it is a folder.
std::optional<DsparkConfig> read_dspark_config(const fs::path& path, const ModelConfig& main);

/// Writes what drafts into a config.json: with a drafter its keys (`keys`, of `n_stages` stages) and one ratio 0 for each stage,
/// without one exactly one ratio for each layer of `main`.  Other dspark_* keys are removed.
void set_dspark_keys(Json& config, const ModelConfig& main, const Json& keys, int64_t n_stages);

/// Rows of a drafter's tensors, stage by stage, stored as the main model's are.  REQUIRES a config without a fault.
std::vector<TensorRow> dspark_map(const ModelConfig& main, const DsparkConfig& dspark);
/// Weights and scales of the official layout: the main model's, then the drafter's.
std::vector<StoredTensor> stored_tensors(const ModelConfig& main, const DsparkConfig& dspark);

}  // namespace temper
