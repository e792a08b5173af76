#pragma once
// The architecture of one DeepSeek-V4 model: plain numbers, read from any of its config forms.

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/stored_tensor.h"

namespace temper {

/// YaRN for the compressed layers' rotary table; factor 0 = plain rotary frequencies.
struct YarnConfig {
  double factor = 0.0;
  int64_t original_max_positions = 65536;
  double beta_fast = 32.0, beta_slow = 1.0;
  bool enabled() const { return factor > 0.0; }
};

/// Names as in docs/naming.md; defaults are those of the Flash release.
struct ModelConfig {
  int64_t vocab_size = 129280;
  int64_t hidden_size = 4096;
  int64_t n_layers = 43;
  int64_t n_heads = 64;
  int64_t head_dim = 512;
  int64_t rope_head_dim = 64;
  int64_t q_lora_rank = 1024;
  int64_t o_groups = 8;
  int64_t o_lora_rank = 1024;

  int64_t n_routed_experts = 256;
  int64_t n_shared_experts = 1;
  int64_t top_k = 6;
  int64_t moe_intermediate_size = 2048;
  int64_t n_hash_layers = 3;
  double routed_scaling_factor = 1.5;
  double swiglu_limit = 10.0;   // 0 = no clamp

  int64_t sliding_window = 128;
  std::vector<int64_t> compress_ratios;   // one for each layer, then one for each MTP layer; each 0, 4 or 128
  int64_t index_n_heads = 64;
  int64_t index_head_dim = 128;
  int64_t index_top_k = 512;

  int64_t hc_mult = 4;
  int64_t hc_sinkhorn_iters = 20;
  double hc_eps = 1e-6;
  double rms_norm_eps = 1e-6;

  double rope_theta = 10000.0;             // window-only layers and MTP
  double compress_rope_theta = 160000.0;   // layers with compression
  YarnConfig yarn;
  int64_t max_positions = 1048576;         // a warning, not a limit

  int64_t n_mtp_layers = 1;
  int64_t bos_id = 0, eos_id = 1;
  double initializer_range = 0.02;

  bool quantized = false;                  // linear layers are stored as FP8 with scales
  bool scales_are_e8m0 = true;             // else F32 (base releases)
  Encoding expert_encoding = Encoding::kPlain;   // of routed experts, if quantized

  int64_t compress_ratio(int64_t layer) const { return compress_ratios.at(static_cast<size_t>(layer)); }
  bool is_hash_layer(int64_t layer) const { return layer < n_hash_layers; }
  /// Layers and MTP layers; MTP layer i has index n_layers + i.
  int64_t n_blocks() const { return n_layers + n_mtp_layers; }
};

/// Reads the released config.json, the form transformers writes (layer_types, rope_parameters, ...), or the official
/// inference config (dim, n_layers, ...).  Errors: Error{kConfig} naming the key, the found value and `where`.
ModelConfig parse_model_config(const Json& json, const std::string& where);

/// Reads `path`, or `path`/config.json if it is a folder.
ModelConfig read_model_config(const fs::path& path);

/// Throws Error{kConfig} if the numbers contradict each other (groups, rotary dims, ratios, counts).
void validate(const ModelConfig& config, const std::string& where);

/// The released form; quantization_config only if `quantized`.
Json to_json(const ModelConfig& config);

}  // namespace temper
