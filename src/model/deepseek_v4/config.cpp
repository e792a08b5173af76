#include "model/deepseek_v4/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/log.h"
#include "model/deepseek_v4/config_limits.h"

#include "model/deepseek_v4/dspark.h"
#include "model/deepseek_v4/release.h"

namespace temper {
namespace {

[[noreturn]] void fail(const std::string& what, const std::string& where, const std::string& fix) {
  throw Error({.kind = ErrorKind::kConfig, .what = what, .where = where, .fix = fix});
}

using Keys = std::initializer_list<const char*>;   // spellings of one key

// Reads members of one JSON object.
class ConfigReader {
 public:
  ConfigReader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  const Json* find(Keys keys) const {
    for (const char* key : keys)
      if (const auto found = json_.find(key); found != json_.end() && !found->is_null()) return &*found;
    return nullptr;
  }
  void integer(int64_t& into, Keys keys, bool required = true) const {
    if (const Json* value = look_up(keys, required)) {
      into = whole_number(keys, *value);
    }
  }
  void number(double& into, Keys keys, bool required = false) const {
    if (const Json* value = look_up(keys, required)) {
      if (!value->is_number()) wrong(keys, *value, "a number");
      into = value->get<double>();
    }
  }
  template <class T> std::vector<T> list(Keys keys) const {
    std::vector<T> items;
    const Json* value = find(keys);
    if (!value) return items;
    if (!value->is_array()) wrong(keys, *value, "a list");
    for (const Json& item : *value) {
      if constexpr (std::is_same_v<T, std::string>) {
        if (!item.is_string()) wrong(keys, *value, "a list of strings");
        items.push_back(item.template get<T>());
      } else {
        items.push_back(whole_number(keys, item));
      }
    }
    return items;
  }
  std::string text(Keys keys, const std::string& otherwise) const {
    const Json* value = find(keys);
    if (!value) return otherwise;
    if (!value->is_string()) wrong(keys, *value, "a string");
    return value->get<std::string>();
  }
  bool flag(Keys keys, bool otherwise) const {
    const Json* value = find(keys);
    if (!value) return otherwise;
    if (!value->is_boolean()) wrong(keys, *value, "true or false");
    return value->get<bool>();
  }
  const std::string& where() const { return where_; }

 private:
  const Json* look_up(Keys keys, bool required) const {
    const Json* value = find(keys);
    if (!value && required)
      fail(fmt::format("the key \"{}\" is missing", fmt::join(keys.begin(), keys.end(), "\" or \"")), where_,
           "add it; another model's default would be wrong silently");
    return value;
  }
  int64_t whole_number(Keys keys, const Json& value) const {
    if (!value.is_number_integer()) wrong(keys, value, "a whole number");
    const bool large = value.is_number_unsigned() ? value.get<uint64_t>() > kLargestConfigNumber : value.get<int64_t>() < -kLargestConfigNumber;
    if (large) wrong(keys, value, fmt::format("between {} and {}", -kLargestConfigNumber, kLargestConfigNumber));
    return value.get<int64_t>();
  }
  [[noreturn]] void wrong(Keys keys, const Json& value, const std::string& needed) const {
    fail(fmt::format("{} = {} must be {}", *keys.begin(), value.dump().substr(0, 200), needed), where_, "correct this key");
  }

  const Json& json_;
  std::string where_;
};

constexpr const char* kWindowType = "sliding_attention";
constexpr const char* kCsaType = "compressed_sparse_attention";
constexpr const char* kHcaType = "heavily_compressed_attention";

// transformers writes one word for each main layer and a table of rates; its MTP layers would be window-only.
std::vector<int64_t> ratios_from_layer_types(const ConfigReader& in, int64_t n_mtp_layers) {
  const auto types = in.list<std::string>({"layer_types"});
  if (types.empty())
    fail("neither compress_ratios nor layer_types is given", in.where(),
         "pass compress_ratios: one number (0, 4 or 128) for each layer and one for each MTP layer");
  int64_t csa = 4, hca = 128;
  if (const Json* rates = in.find({"compress_rates"}); rates && rates->is_object()) {
    const ConfigReader reader(*rates, in.where() + ", compress_rates");
    reader.integer(csa, {kCsaType}, false);
    reader.integer(hca, {kHcaType}, false);
  }
  std::vector<int64_t> ratios;
  for (const std::string& type : types) {
    if (type == kWindowType) ratios.push_back(0);
    else if (type == kCsaType) ratios.push_back(csa);
    else if (type == kHcaType) ratios.push_back(hca);
    else fail(fmt::format("layer_types has \"{}\"", type), in.where(), fmt::format("use {}, {} or {}", kWindowType, kCsaType, kHcaType));
  }
  ratios.resize(ratios.size() + static_cast<size_t>(std::max<int64_t>(0, n_mtp_layers)), 0);
  return ratios;
}

int64_t hash_layers_from_types(const ConfigReader& in) {
  const auto types = in.list<std::string>({"mlp_layer_types"});
  const auto first_learned = std::find_if(types.begin(), types.end(), [](const auto& t) { return t != "hash_moe"; });
  for (auto type = first_learned; type != types.end(); ++type)
    if (*type != "moe")
      fail(fmt::format("mlp_layer_types[{}] = \"{}\"", type - types.begin(), *type), in.where(), "hash layers come first, then only \"moe\"");
  return first_learned - types.begin();
}

// One table of transformers' rope parameters.  `amplitude`: what it multiplies cos and sin by where nothing is said.
void read_yarn(const ConfigReader& in, std::optional<double> amplitude, ModelConfig& config) {
  const bool typed = in.find({"rope_type", "type"});
  const std::string type = in.text({"rope_type", "type"}, "default");
  if (type == "default") {
    if (!typed && in.find({"factor"})) fail("there is a factor, but no rope_type", in.where(), "add \"rope_type\": \"yarn\", or remove the factor");
    return;
  }
  if (type != "yarn") fail(fmt::format("rope_type is \"{}\"", type), in.where(), "DeepSeek-V4 uses yarn, or none (\"default\")");
  YarnConfig& yarn = config.yarn;
  double original = static_cast<double>(config.max_positions);
  in.number(yarn.factor, {"factor"}, /*required=*/true);
  if (!(yarn.factor >= 1)) fail(fmt::format("factor = {}", yarn.factor), in.where(), "YaRN stretches: give a factor of at least 1");
  in.number(original, {"original_max_position_embeddings"});
  in.number(yarn.beta_fast, {"beta_fast"});
  in.number(yarn.beta_slow, {"beta_slow"});
  if (!(original >= 1 && original <= 9e15 && original == std::floor(original)))
    fail(fmt::format("original_max_position_embeddings = {}", original), in.where(), "give a whole number of positions");
  yarn.original_max_positions = static_cast<int64_t>(original);
  if (!in.flag({"truncate"}, true)) fail("truncate is false", in.where(), "DeepSeek-V4 rounds the ends of YaRN's ramp: remove this key");
  double found = amplitude.value_or(yarn.factor > 1 ? 0.1 * std::log(yarn.factor) + 1 : 1);
  in.number(found, {"attention_factor"});
  if (found != 1) fail(fmt::format("attention_factor is {:.4g}{}", found, in.find({"attention_factor"}) ? "" : " by default"), in.where(), "DeepSeek-V4 leaves cos and sin as they are: set \"attention_factor\": 1.0");
}

void check_rotary_fraction(const ConfigReader& in, const ModelConfig& config) {
  double fraction = static_cast<double>(config.rope_head_dim) / static_cast<double>(config.head_dim);
  in.number(fraction, {"partial_rotary_factor"});
  if (const double dims = fraction * static_cast<double>(config.head_dim); std::abs(dims - static_cast<double>(config.rope_head_dim)) > 0.5)
    fail(fmt::format("partial_rotary_factor rotates {} of {} dims, qk_rope_head_dim says {}", dims, config.head_dim, config.rope_head_dim), in.where(), "make them agree");
}

// rope_parameters of the two tables, as transformers writes them.
void read_two_tables(const ConfigReader& parameters, const Json& main, const Json& compress, ModelConfig& config) {
  const ConfigReader first(main, parameters.where() + ".main"), second(compress, parameters.where() + ".compress");
  first.number(config.rope_theta, {"rope_theta"}, /*required=*/true);
  second.number(config.compress_rope_theta, {"rope_theta"}, /*required=*/true);
  if (const std::string type = first.text({"rope_type", "type"}, "default"); type != "default")
    fail(fmt::format("rope_type is \"{}\"", type), first.where(), "window-only layers of DeepSeek-V4 have no scaling: use \"default\"");
  for (const ConfigReader* table : {&first, &second}) check_rotary_fraction(*table, config);
  read_yarn(second, std::nullopt, config);
}

// Flat parameters are of the compressed layers' table; the bases of both tables have keys of their own.
void read_flat_table(const ConfigReader& in, ModelConfig& config) {
  double theta = config.rope_theta;
  in.number(theta, {"rope_theta"});
  if (theta != config.rope_theta && theta != config.compress_rope_theta)
    warn_once("config", "{}: rope_theta {} is not used: rope_theta {} and compress_rope_theta {} of the config are, as in transformers", in.where(), theta, config.rope_theta, config.compress_rope_theta);
  read_yarn(in, 1, config);
}

const Json* rope_object(const ConfigReader& in, const char* key) {
  const Json* value = in.find({key});
  if (value && !value->is_object()) fail(fmt::format("{} is not an object", key), in.where(), "write it as transformers does");
  return value && !value->empty() ? value : nullptr;
}

// As transformers' DeepseekV4Config reads them (tools/oracle/rope_configs.py): rope_scaling, unless it is empty, replaces
// rope_parameters, which are two tables, "main" and "compress", or flat.
void read_rotary(const ConfigReader& in, ModelConfig& config) {
  in.number(config.rope_theta, {"rope_theta"});
  in.number(config.compress_rope_theta, {"compress_rope_theta"});
  const Json *scaling = rope_object(in, "rope_scaling"), *parameters = rope_object(in, "rope_parameters");
  if (scaling || parameters) {
    const ConfigReader reader(scaling ? *scaling : *parameters, in.where() + (scaling ? ", rope_scaling" : ", rope_parameters"));
    const Json *main = rope_object(reader, "main"), *compress = rope_object(reader, "compress");
    if (!main != !compress) fail(fmt::format("there is \"{}\" without \"{}\"", main ? "main" : "compress", main ? "compress" : "main"), reader.where(), "give both tables, or flat parameters");
    if (main) read_two_tables(reader, *main, *compress, config);
    else read_flat_table(reader, config);
  } else if (in.find({"rope_factor"}) && in.find({"original_seq_len"})) {
    // Official inference form: original_seq_len 0 switches YaRN off.
    in.integer(config.yarn.original_max_positions, {"original_seq_len"});
    if (config.yarn.original_max_positions == 0) return;
    in.number(config.yarn.factor, {"rope_factor"});
    in.number(config.yarn.beta_fast, {"beta_fast"});
    in.number(config.yarn.beta_slow, {"beta_slow"});
  }
}

void read_storage(const ConfigReader& in, ModelConfig& config) {
  const Json* quantization = in.find({"quantization_config"});
  const bool inference_fp8 = in.find({"dim"}) && in.text({"dtype"}, "bf16") == "fp8";
  config.quantized = quantization || inference_fp8;
  if (!config.quantized) return;
  if (quantization) {
    const ConfigReader reader(*quantization, in.where() + ", quantization_config");
    if (const std::string method = reader.text({"quant_method"}, "fp8"); method != "fp8" && !method.starts_with("modelopt"))   // the tool of NVFP4 copies
      fail(fmt::format("quant_method is \"{}\": copies of this tool cannot be read", method), reader.where(), "use the original release, or a copy in bf16, FP8 or NVFP4 (modelopt)");
    if (const auto block = reader.list<int64_t>({"weight_block_size"}); !block.empty() && block != std::vector<int64_t>{128, 128})
      fail(fmt::format("weight_block_size [{}]", fmt::join(block, ", ")), reader.where(), "the official layout has [128, 128]");
    config.scales_are_e8m0 = reader.text({"scale_fmt"}, "float32") == "ue8m0";
  } else {
    config.scales_are_e8m0 = in.text({"scale_fmt"}, "float32") == "ue8m0";
  }
  std::string experts = in.text({"expert_dtype"}, "fp4");   // an early release lacks the key; its experts are FP4
  if (quantization && !in.find({"expert_dtype"})) experts = ConfigReader(*quantization, in.where() + ", quantization_config").text({"expert_dtype"}, experts);
  if (experts == "fp4" || experts == "mxfp4" || experts == "nvfp4") config.expert_encoding = Encoding::kFp4Block32;
  else if (experts == "fp8") config.expert_encoding = Encoding::kFp8Block128;
  else if (experts == "bf16" || experts == "bfloat16") config.expert_encoding = Encoding::kPlain;
  else fail(fmt::format("expert_dtype \"{}\"", experts), in.where(), "use fp4, fp8 or bf16");
}

// Keys whose other values would be another architecture.
void reject_other_architectures(const ConfigReader& in) {
  const auto need = [&](Keys keys, const std::string& needed) {
    if (const std::string found = in.text(keys, needed); found != needed)
      fail(fmt::format("{} is \"{}\"", *keys.begin(), found), in.where(), fmt::format("DeepSeek-V4 has \"{}\"", needed));
  };
  need({"model_type"}, "deepseek_v4");
  need({"scoring_func", "score_func"}, "sqrtsoftplus");
  need({"hidden_act"}, "silu");
  if (in.flag({"tie_word_embeddings"}, false))
    fail("tie_word_embeddings is true", in.where(), "DeepSeek-V4 has a head of its own: set it to false");
  // Keys without a reader, here and in transformers: the architecture has one value of each.
  const auto unused = [&](const char* key, const Json& needed) {
    if (const Json* found = in.find({key}); found && *found != needed)
      warn_once("config", "{}: {} = {} is not used, every DeepSeek-V4 has {}", in.where(), key, found->dump(), needed.dump());
  };
  unused("topk_method", "noaux_tc");
  unused("norm_topk_prob", true);
  unused("attention_bias", false);
  int64_t n_kv_heads = 1;
  in.integer(n_kv_heads, {"num_key_value_heads"}, false);
  if (n_kv_heads != 1) fail(fmt::format("num_key_value_heads = {}", n_kv_heads), in.where(), "DeepSeek-V4 shares one key-value head");
}

void read_attention(const ConfigReader& in, ModelConfig& config) {
  in.integer(config.n_heads, {"num_attention_heads", "n_heads"});
  in.integer(config.head_dim, {"head_dim"});
  if (in.find({"qk_rope_head_dim", "rope_head_dim"})) {
    in.integer(config.rope_head_dim, {"qk_rope_head_dim", "rope_head_dim"});
  } else {
    double fraction = 0;
    in.number(fraction, {"partial_rotary_factor"}, /*required=*/true);
    if (!(fraction >= 0 && fraction <= 1)) fail(fmt::format("partial_rotary_factor = {} is not in [0, 1]", fraction), in.where(), "give the rotated share of a head");
    config.rope_head_dim = static_cast<int64_t>(static_cast<double>(config.head_dim) * fraction + 0.5);
  }
  in.integer(config.q_lora_rank, {"q_lora_rank"});
  in.integer(config.o_groups, {"o_groups"});
  in.integer(config.o_lora_rank, {"o_lora_rank"});
  in.integer(config.sliding_window, {"sliding_window", "window_size"});
  in.integer(config.index_n_heads, {"index_n_heads"});
  in.integer(config.index_head_dim, {"index_head_dim"});
  in.integer(config.index_top_k, {"index_topk"});
}

void read_experts(const ConfigReader& in, ModelConfig& config) {
  in.integer(config.n_routed_experts, {"n_routed_experts", "num_local_experts"});
  in.integer(config.n_shared_experts, {"n_shared_experts"}, false);
  in.integer(config.top_k, {"num_experts_per_tok", "n_activated_experts"});
  in.integer(config.moe_intermediate_size, {"moe_intermediate_size", "intermediate_size", "moe_inter_dim"});
  if (in.find({"mlp_layer_types"}) && !in.find({"num_hash_layers"})) config.n_hash_layers = hash_layers_from_types(in);
  else in.integer(config.n_hash_layers, {"num_hash_layers", "n_hash_layers"});
  in.number(config.routed_scaling_factor, {"routed_scaling_factor", "route_scale"}, true);
  in.number(config.swiglu_limit, {"swiglu_limit"}, true);
}

void read_special_ids(const ConfigReader& in, ModelConfig& config) {
  in.integer(config.bos_id, {"bos_token_id"}, false);
  if (const Json* eos = in.find({"eos_token_id"}); eos && eos->is_array()) {
    if (const auto ids = in.list<int64_t>({"eos_token_id"}); !ids.empty()) config.eos_id = ids.front();
  } else {
    in.integer(config.eos_id, {"eos_token_id"}, false);
  }
}

// With dspark_* keys no MTP layer is computed, whatever num_nextn_predict_layers says: the ratios after the main layers' belong to
// the drafter (dspark.h).
void read_ratios_of_main_layers(const ConfigReader& in, ModelConfig& config) {
  config.n_mtp_layers = 0;
  config.compress_ratios = in.list<int64_t>({"compress_ratios"});
  if (config.compress_ratios.empty()) config.compress_ratios = ratios_from_layer_types(in, 0);
  else if (std::ssize(config.compress_ratios) > config.n_layers && config.n_layers > 0) config.compress_ratios.resize(static_cast<size_t>(config.n_layers));
}

// One ratio for each layer, then one for each MTP layer; both are written in several ways.
void read_ratios(const ConfigReader& in, ModelConfig& config) {
  config.compress_ratios = in.list<int64_t>({"compress_ratios"});
  const int64_t n_listed = static_cast<int64_t>(config.compress_ratios.size());
  config.n_mtp_layers = n_listed == 0 ? 1 : std::max<int64_t>(0, n_listed - config.n_layers);   // where no key says it
  in.integer(config.n_mtp_layers, {"num_nextn_predict_layers", "n_mtp_layers"}, false);
  check_limits(config, in.where());   // these numbers size the list
  if (n_listed == 0) config.compress_ratios = ratios_from_layer_types(in, config.n_mtp_layers);
  else if (n_listed == config.n_layers) config.compress_ratios.resize(static_cast<size_t>(config.n_layers + std::max<int64_t>(0, config.n_mtp_layers)), 0);
}

}  // namespace

ModelConfig parse_model_config(const Json& json, const std::string& where) {
  if (!json.is_object()) fail("the config is not a JSON object", where, "pass a model's config.json");
  refuse_foreign_config(json, where);
  const ConfigReader in(json, where);
  reject_other_architectures(in);
  ModelConfig config;
  in.integer(config.vocab_size, {"vocab_size"});
  in.integer(config.hidden_size, {"hidden_size", "dim"});
  in.integer(config.n_layers, {"num_hidden_layers", "n_layers"});
  read_attention(in, config);
  read_experts(in, config);
  in.integer(config.hc_mult, {"hc_mult"});
  in.integer(config.hc_sinkhorn_iters, {"hc_sinkhorn_iters"});
  in.number(config.hc_eps, {"hc_eps"}, true);
  in.number(config.rms_norm_eps, {"rms_norm_eps", "norm_eps"});
  in.integer(config.max_positions, {"max_position_embeddings", "max_seq_len"}, false);
  in.number(config.initializer_range, {"initializer_range"});
  read_special_ids(in, config);
  if (has_dspark_keys(json)) read_ratios_of_main_layers(in, config);
  else read_ratios(in, config);
  read_rotary(in, config);
  read_storage(in, config);
  validate(config, where);
  return config;
}

void validate(const ModelConfig& c, const std::string& where) {
  const auto require = [&](bool ok, const std::string& what, const std::string& fix) {
    if (!ok) fail(what, where, fix);
  };
  check_limits(c, where);
  require(c.n_shared_experts == 1, fmt::format("n_shared_experts = {}", c.n_shared_experts), "every DeepSeek-V4 layer has exactly one shared expert");
  require(c.n_hash_layers >= 0 && c.n_hash_layers <= c.n_layers, fmt::format("num_hash_layers = {} of {} layers", c.n_hash_layers, c.n_layers), "use 0 to the number of layers");
  require(c.top_k <= c.n_routed_experts, fmt::format("{} experts per token of {} experts", c.top_k, c.n_routed_experts), "choose fewer experts per token");
  require(c.n_heads % c.o_groups == 0, fmt::format("o_groups = {} does not divide {} heads", c.o_groups, c.n_heads), "choose a divisor");
  require(c.rope_head_dim >= 0 && c.rope_head_dim % 2 == 0, fmt::format("qk_rope_head_dim = {}", c.rope_head_dim), "it must be even: dims rotate in pairs");
  require(c.rope_head_dim <= c.head_dim, fmt::format("qk_rope_head_dim = {} exceeds head_dim = {}", c.rope_head_dim, c.head_dim), "rotate at most the whole head");
  require(static_cast<int64_t>(c.compress_ratios.size()) == c.n_blocks(),
          fmt::format("{} compress_ratios for {} layers and {} MTP layers", c.compress_ratios.size(), c.n_layers, c.n_mtp_layers),
          "give one ratio for each layer and one for each MTP layer; with more of them for a DSpark drafter, config.json has its dspark_* keys too");
  for (int64_t i = 0; i < c.n_blocks(); ++i) {
    const int64_t ratio = c.compress_ratio(i);
    require(ratio == 0 || ratio == 4 || ratio == 128, fmt::format("compress_ratios[{}] = {}", i, ratio), "each is 0 (window), 4 (CSA) or 128 (HCA)");
    require(ratio != 4 || c.rope_head_dim <= c.index_head_dim, fmt::format("qk_rope_head_dim = {} exceeds index_head_dim = {}", c.rope_head_dim, c.index_head_dim), "the indexer rotates the same number of dims");
    require(i < c.n_layers || ratio == 0, fmt::format("compress_ratios[{}] = {} belongs to an MTP layer", i, ratio), "MTP layers are window-only (0)");
  }
}

ModelConfig read_model_config(const fs::path& path) {
  const fs::path file = fs::is_directory(path) ? path / "config.json" : path;
  if (!fs::exists(file))
    throw Error({.kind = ErrorKind::kConfig, .what = "there is no model config here", .where = file.string(), .fix = "pass a model folder or a config.json"});
  return parse_model_config(read_json(file, ErrorKind::kConfig), file.string());
}

Json to_json(const ModelConfig& c) {
  Json json = {{"architectures", {"DeepseekV4ForCausalLM"}}, {"attention_bias", false}, {"attention_dropout", 0.0},
               {"bos_token_id", c.bos_id}, {"eos_token_id", c.eos_id}};
  if (c.quantized)
    json["expert_dtype"] = c.expert_encoding == Encoding::kFp4Block32 ? "fp4" : c.expert_encoding == Encoding::kFp8Block128 ? "fp8" : "bf16";
  json.update(Json{
      {"hc_eps", c.hc_eps}, {"hc_mult", c.hc_mult}, {"hc_sinkhorn_iters", c.hc_sinkhorn_iters}, {"head_dim", c.head_dim},
      {"hidden_act", "silu"}, {"hidden_size", c.hidden_size}, {"index_head_dim", c.index_head_dim},
      {"index_n_heads", c.index_n_heads}, {"index_topk", c.index_top_k}, {"initializer_range", c.initializer_range},
      {"max_position_embeddings", c.max_positions}, {"model_type", "deepseek_v4"},
      {"moe_intermediate_size", c.moe_intermediate_size}, {"n_routed_experts", c.n_routed_experts},
      {"n_shared_experts", c.n_shared_experts}, {"norm_topk_prob", true}, {"num_attention_heads", c.n_heads},
      {"num_experts_per_tok", c.top_k}, {"num_hidden_layers", c.n_layers}, {"num_hash_layers", c.n_hash_layers},
      {"num_key_value_heads", 1}, {"num_nextn_predict_layers", c.n_mtp_layers}, {"o_groups", c.o_groups},
      {"o_lora_rank", c.o_lora_rank}, {"q_lora_rank", c.q_lora_rank}, {"qk_rope_head_dim", c.rope_head_dim}});
  if (c.quantized) {
    json["quantization_config"] = {{"activation_scheme", "dynamic"}, {"fmt", "e4m3"}, {"quant_method", "fp8"}};
    if (c.scales_are_e8m0) json["quantization_config"]["scale_fmt"] = "ue8m0";
    json["quantization_config"]["weight_block_size"] = {128, 128};
  }
  json["rms_norm_eps"] = c.rms_norm_eps;
  if (c.yarn.enabled())
    json["rope_scaling"] = {{"beta_fast", c.yarn.beta_fast}, {"beta_slow", c.yarn.beta_slow}, {"factor", c.yarn.factor},
                            {"original_max_position_embeddings", c.yarn.original_max_positions}, {"type", "yarn"}};
  json.update(Json{
      {"rope_theta", c.rope_theta}, {"routed_scaling_factor", c.routed_scaling_factor}, {"scoring_func", "sqrtsoftplus"},
      {"sliding_window", c.sliding_window}, {"swiglu_limit", c.swiglu_limit}, {"tie_word_embeddings", false},
      {"topk_method", "noaux_tc"}, {"torch_dtype", "bfloat16"}, {"use_cache", true}, {"vocab_size", c.vocab_size},
      {"compress_rope_theta", c.compress_rope_theta}, {"compress_ratios", c.compress_ratios}});
  return json;
}

}  // namespace temper
