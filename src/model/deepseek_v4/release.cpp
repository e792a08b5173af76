#include "model/deepseek_v4/release.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <unordered_map>

namespace temper {
namespace {

constexpr const char* kOtherArchitecture = "use a DeepSeek-V4 release (Flash, Pro, Base, 0731, 0813 or DSpark)";
constexpr const char* kOneRelease = "fetch config.json and all shards of one release into one folder";

[[noreturn]] void refuse(const std::string& what, const std::string& where, const std::string& fix) {
  throw Error({.kind = ErrorKind::kCheckpoint, .what = what, .where = where, .fix = fix});
}

std::string text_of(const std::string& dtype, const std::vector<int64_t>& shape) { return fmt::format("{} [{}]", dtype, fmt::join(shape, ", ")); }

// "mtp.2.attn.wkv.weight" -> 2, "attn.wkv.weight"
bool split_stage(std::string_view name, int64_t& stage, std::string& rest) {
  if (!name.starts_with("mtp.")) return false;
  name.remove_prefix(4);
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), stage);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return false;
  rest = name.substr(static_cast<size_t>(end - name.data()) + 1);
  return true;
}

bool marks_serial_mtp(const std::string& rest) {
  return rest.starts_with("enorm.") || rest.starts_with("hnorm.") || rest.starts_with("e_proj.") || rest.starts_with("h_proj.");
}
bool marks_dspark(const std::string& rest) {
  return rest.starts_with("main_proj.") || rest.starts_with("main_norm.") || rest.starts_with("markov_head.") || rest.starts_with("confidence_head.");
}

// What the names say, before anything is compared with a layout.
struct Names {
  std::unordered_map<std::string, const TensorHead*> tensors;
  std::map<int64_t, std::string> stages;                              // under mtp., with the first tensor of each
  std::string serial, dspark, odd;                                    // the first tensor that marks the kind; one under mtp. without a number
  bool any_mtp() const { return !stages.empty() || !odd.empty(); }
  const TensorHead* find(const std::string& name) const {
    const auto found = tensors.find(name);
    return found == tensors.end() ? nullptr : found->second;
  }
};

void refuse_foreign_tensor(const std::string& name, const std::string& where) {
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (has("gate.bias_vl") || has("markov_head.embed.") || has("markov_head.head.") || has("engram"))
    refuse(fmt::format("{} is a tensor of DeepSeek-V4.1, another architecture (shared compressed attention, Engram, another drafter)", name), where, kOtherArchitecture);
  for (const char* prefix : {"vision", "visual", "vit.", "aligner", "image_"})
    if (name.starts_with(prefix)) refuse(fmt::format("{} is a tensor of a vision release, only text models can be read", name), where, kOtherArchitecture);
}

Names sort_names(const std::vector<TensorHead>& tensors, const std::string& where) {
  Names names;
  const auto keep_first = [](std::string& first, const std::string& name) {
    if (first.empty() || name < first) first = name;
  };
  for (const TensorHead& tensor : tensors) {
    const std::string& name = tensor.name;
    refuse_foreign_tensor(name, where);
    const bool fresh = names.tensors.emplace(name, &tensor).second;
    if (!name.starts_with("mtp.")) continue;
    if (!fresh) refuse(fmt::format("{} is there twice, under two spellings", name), where, "remove one of the two");
    int64_t stage = 0;
    std::string rest;
    if (!split_stage(name, stage, rest)) {
      keep_first(names.odd, name);
      continue;
    }
    keep_first(names.stages[stage], name);
    if (marks_serial_mtp(rest)) keep_first(names.serial, name);
    if (marks_dspark(rest)) keep_first(names.dspark, name);
  }
  return names;
}

// The layout of a DSpark drafter against config.json, the first difference first.
class DsparkCheck {
 public:
  DsparkCheck(const ModelConfig& config, const DsparkConfig& dspark, const Names& names, const std::string& where)
      : config_(config), d_(dspark), names_(names), where_(where) {}

  /// True if the drafter has an embedding or head of its own.
  bool run() {
    check_config();
    check_stages();
    std::unordered_map<std::string, bool> known;
    for (const TensorRow& row : dspark_map(config_, d_)) check_row(row, known);
    bool own_vocabulary = false;
    const std::vector<int64_t> vocabulary = {config_.vocab_size, config_.hidden_size};
    const std::string last = fmt::format("mtp.{}.head.weight", d_.n_stages() - 1);
    for (const std::string& name : {std::string("mtp.0.embed.weight"), std::string("mtp.0.emb.tok_emb.weight"), last}) {
      const TensorHead* found = names_.find(name);
      if (!found) continue;
      known[name] = own_vocabulary = true;
      expect(*found, {"BF16", "F32"}, vocabulary);
    }
    if (names_.find("mtp.0.embed.weight") && names_.find("mtp.0.emb.tok_emb.weight"))
      wrong("mtp.0.embed.weight and mtp.0.emb.tok_emb.weight are two spellings of one tensor", "remove one of the two");
    std::string extra;
    for (const auto& [name, tensor] : names_.tensors)
      if (name.starts_with("mtp.") && !known.contains(name) && (extra.empty() || name < extra)) extra = name;
    if (!extra.empty()) wrong(fmt::format("{} is not a tensor of a DSpark drafter with {} stages", extra, d_.n_stages()), kOneRelease);
    return own_vocabulary;
  }

 private:
  [[noreturn]] void wrong(const std::string& what, const std::string& fix) const { refuse(what, where_, fix); }

  void check_config() const {
    const char* fix = "use the config.json of the release whose drafter this is";
    if (!d_.fault.empty()) wrong(d_.fault, fix);
    if (d_.listed_mtp_layers && *d_.listed_mtp_layers != kDsparkListedMtpLayers)
      wrong(fmt::format("num_nextn_predict_layers = {}, a release with a DSpark drafter has {}", *d_.listed_mtp_layers, kDsparkListedMtpLayers), fix);
  }

  // The number of stages is said three times: by the names, by the ratios after the main layers', by the layers that are read.
  void check_stages() const {
    if (!names_.odd.empty()) wrong(fmt::format("{} is not a tensor of a DSpark drafter", names_.odd), kOneRelease);
    int64_t n = 0;
    for (const auto& [stage, first] : names_.stages)
      if (stage != n++) wrong(fmt::format("the drafter lacks stage mtp.{}, but has {}", n - 1, first), kOneRelease);
    const int64_t n_taps = d_.n_stages(), n_ratios = d_.surplus_ratios ? std::ssize(*d_.surplus_ratios) : n_taps;
    if (n_ratios == n_taps && n < n_taps) wrong(fmt::format("the drafter lacks stage mtp.{}: config.json describes {} stages", n, n_taps), kOneRelease);
    if (n_ratios == n_taps && n > n_taps) wrong(fmt::format("{} is of stage {}, but config.json describes {} stages", names_.stages.at(n_taps), n_taps, n_taps), kOneRelease);
    if (n_ratios != n)
      wrong(fmt::format("{} compress_ratios for {} layers and {} stages of the drafter: needed are {}", config_.n_layers + n_ratios, config_.n_layers, n, config_.n_layers + n), kOneRelease);
    if (n_taps != n) wrong(fmt::format("dspark_target_layer_ids lists {} layers for {} stages of the drafter: needed is one for each stage", n_taps, n), kOneRelease);
    if (!d_.surplus_ratios) return;   // the form transformers writes lists no ratios
    for (int64_t i = 0; i < n; ++i)
      if (const int64_t ratio = (*d_.surplus_ratios)[static_cast<size_t>(i)]; ratio != 0)
        wrong(fmt::format("compress_ratios[{}] = {} belongs to stage {} of the drafter, which needs 0", config_.n_layers + i, ratio, i), kOneRelease);
  }

  void expect(const TensorHead& found, const std::vector<std::string>& dtypes, const std::vector<int64_t>& shape) const {
    if (found.dtype.empty()) return;   // only its name is known
    if (found.shape == shape && std::ranges::find(dtypes, found.dtype) != dtypes.end()) return;
    std::vector<std::string> needed;
    for (const std::string& dtype : dtypes) needed.push_back(text_of(dtype, shape));
    wrong(fmt::format("{} is {}, the drafter of this model needs {}", found.name, text_of(found.dtype, found.shape), fmt::join(needed, " or ")),
          "use the drafter that was released with this model: sizes and rank must be those of config.json");
  }

  // Each tensor has the storage that its dtype says: copies in other formats keep the drafter's, or the other way round.
  void check_row(const TensorRow& row, std::unordered_map<std::string, bool>& known) const {
    const TensorHead* weight = names_.find(row.name);
    if (!weight) wrong(fmt::format("{} is missing", row.name), kOneRelease);
    known[row.name] = true;
    const bool linear = is_block_row(row), narrow = linear || row.dtype != StoredDtype::kF32;
    const bool fp8 = linear && weight->dtype == "F8_E4M3", fp4 = row.expert >= 0 && (weight->dtype == "I8" || weight->dtype == "U8");
    TensorRow stored = row;
    stored.encoding = fp4 ? Encoding::kFp4Block32 : linear ? Encoding::kFp8Block128 : Encoding::kPlain;
    if (fp8 || fp4) {
      expect(*weight, {weight->dtype}, stored.stored_shape());
      const TensorHead* scale = names_.find(*stored.scale_name());
      if (!scale) wrong(fmt::format("{} is missing", *stored.scale_name()), kOneRelease);
      known[*stored.scale_name()] = true;
      expect(*scale, fp8 ? std::vector<std::string>{"F8_E8M0", "F32"} : std::vector<std::string>{"F8_E8M0"}, stored.scale_shape());
      return;
    }
    if (weight->dtype.empty() && linear) {   // only names are known: a scale may be there
      if (names_.find(*stored.scale_name())) known[*stored.scale_name()] = true;
      else if (config_.quantized) wrong(fmt::format("{} is missing", *stored.scale_name()), kOneRelease);
      return;
    }
    expect(*weight, narrow ? std::vector<std::string>{"BF16", "F32"} : std::vector<std::string>{"F32", "BF16"}, row.shape);
  }

  // Linear layers that the releases store in blocks, whatever this config's storage is.
  static bool is_block_row(const TensorRow& row) {
    return row.parameter == ParameterClass::kRoutedExpert || row.parameter == ParameterClass::kSharedExpert || row.name.ends_with(".main_proj.weight") ||
           (row.parameter == ParameterClass::kAttention && row.optimizer == OptimizerClass::kMatrix);
  }

  const ModelConfig& config_;
  const DsparkConfig& d_;
  const Names& names_;
  const std::string& where_;
};

DrafterKind drafter_of(const ModelConfig& config, const std::optional<DsparkConfig>& dspark, const Names& names, const std::string& where, bool& own_vocabulary) {
  if (!names.serial.empty() && !names.dspark.empty())
    refuse(fmt::format("{} belongs to the MTP layer of the first releases, {} to a DSpark drafter: two releases are mixed", names.serial, names.dspark), where, kOneRelease);
  if (!names.dspark.empty() && !dspark)
    refuse(fmt::format("{} belongs to a DSpark drafter, but config.json has no dspark_* keys: it is the config of another release", names.dspark), where, kOneRelease);
  if (dspark && !names.serial.empty())
    refuse(fmt::format("{} belongs to the MTP layer of the first releases, but config.json has dspark_* keys: it is the config of another release", names.serial), where, kOneRelease);
  if (!names.any_mtp()) return DrafterKind::kNone;
  if (!dspark) return DrafterKind::kMtp;
  own_vocabulary = DsparkCheck(config, *dspark, names, where).run();
  return DrafterKind::kDspark;
}

bool is_size(const ModelConfig& c, const ModelConfig& other) {
  return c.vocab_size == other.vocab_size && c.hidden_size == other.hidden_size && c.n_layers == other.n_layers && c.n_heads == other.n_heads &&
         c.n_routed_experts == other.n_routed_experts && c.moe_intermediate_size == other.moe_intermediate_size && c.q_lora_rank == other.q_lora_rank;
}

// How the routed experts lie in the files: "" = as the first releases, "base", "NVFP4", "FP8", "bf16".
std::string storage_of(const ModelConfig& config, const Names& names) {
  const std::string expert = fmt::format("layers.{}.ffn.experts.0.w1.", config.n_layers - 1);
  if (names.find(expert + "weight_scale_2") || names.find(expert + "weight_global_scale")) return "NVFP4";
  const TensorHead *weight = names.find(expert + "weight"), *scale = names.find(expert + "scale");
  const bool copies = names.find("mtp.0.emb.tok_emb.weight") || names.find("mtp.0.head.weight");
  if (!weight || weight->dtype.empty()) {   // fused experts of transformers, or only names
    if (!config.quantized || (weight && !scale)) return "bf16";
    if (config.expert_encoding != Encoding::kFp8Block128) return "";
    return copies || names.tensors.empty() ? "base" : "FP8";
  }
  if (weight->dtype == "I8" || weight->dtype == "U8") return "";
  if (weight->dtype != "F8_E4M3") return "bf16";
  return scale && scale->dtype == "F32" && (copies || config.expert_encoding == Encoding::kFp8Block128) ? "base" : "FP8";
}

// Sizes of the releases; those of Flash are the defaults of ModelConfig.
ModelConfig pro_size() {
  ModelConfig pro;
  pro.hidden_size = 7168, pro.n_layers = 61, pro.n_heads = 128, pro.n_routed_experts = 384, pro.moe_intermediate_size = 3072, pro.q_lora_rank = 1536;
  return pro;
}

Release named(const ModelConfig& config, const std::string& storage, Release release) {
  const bool flash = is_size(config, ModelConfig()), pro = is_size(config, pro_size());
  std::string bracket;
  release.name = flash ? "DeepSeek-V4-Flash" : pro ? "DeepSeek-V4-Pro" : "DeepSeek-V4";
  release.drafter_action = release.drafter == DrafterKind::kDspark ? "carried" : release.drafter == DrafterKind::kMtp ? "computed" : "none";
  if (release.drafter == DrafterKind::kDspark) {
    release.family = ReleaseFamily::kDspark;
    release.name += " with DSpark drafter";
    bracket = flash ? "0731 or DSpark release" : "0813 or DSpark release";
  } else if (storage == "base") {
    release.family = ReleaseFamily::kBase;
    release.name += "-Base";
  } else if (release.drafter == DrafterKind::kMtp) {
    release.family = ReleaseFamily::kPreview;
    bracket = "preview";
  } else if (release.leftover_keys) {
    release.name += " with leftover DSpark keys";
    release.drafter_action = "leftover keys dropped";
  } else {
    release.name += " without MTP";
  }
  if (!flash && !pro) bracket = "miniature";
  if (!bracket.empty()) release.name += " (" + bracket + ")";
  if (!storage.empty() && storage != "base") release.name += ", " + storage + " copy";
  return release;
}

}  // namespace

const char* drafter_kind_name(DrafterKind kind) {
  switch (kind) {
    case DrafterKind::kNone: return "none";
    case DrafterKind::kMtp: return "mtp";
    case DrafterKind::kDspark: return "dspark";
  }
  return "";
}

void refuse_foreign_config(const Json& config, const std::string& where) {
  const auto foreign = [&](const std::string& what) { throw Error({.kind = ErrorKind::kConfig, .what = what, .where = where, .fix = kOtherArchitecture}); };
  const auto type = config.find("model_type");
  const bool is_v41 = type != config.end() && type->is_string() && type->get_ref<const std::string&>().starts_with("deepseek_v41");
  for (const auto& [key, value] : config.items())
    if (key.starts_with("vision_") && !is_v41) foreign(fmt::format("the key \"{}\" belongs to a vision release, only text models can be read", key));
  const std::string reasons = ", another architecture: shared compressed attention, single-pass hyper-connections, Engram, blocks of 32x32";
  if (is_v41) foreign(fmt::format("model_type \"{}\" is DeepSeek-V4.1{}", type->get<std::string>(), reasons));
  if (config.contains("text_config")) foreign("the config is nested (text_config): it is of DeepSeek-V4.1" + reasons);
  for (const auto& [key, value] : config.items())
    if (key.starts_with("engram_")) foreign(fmt::format("the key \"{}\" belongs to DeepSeek-V4.1{}", key, reasons));
}

Release recognise_release(const ModelConfig& main, const std::optional<DsparkConfig>& dspark, const std::vector<TensorHead>& tensors, const std::string& where) {
  const Names names = sort_names(tensors, where);
  Release release;
  release.drafter = drafter_of(main, dspark, names, where, release.own_vocabulary);
  if (release.drafter == DrafterKind::kDspark) release.n_stages = dspark->n_stages();
  release.leftover_keys = dspark && release.drafter == DrafterKind::kNone;
  return named(main, storage_of(main, names), release);
}

Release recognise_release(const ModelConfig& main, const std::optional<DsparkConfig>& dspark, const std::string& where) {
  if (dspark && dspark->fault.empty() && dspark->surplus_ratios && std::ssize(*dspark->surplus_ratios) == dspark->n_stages()) {
    std::vector<TensorHead> heads;
    for (const StoredTensor& tensor : stored_tensors(main, *dspark)) heads.push_back({tensor.name, std::string(stored_dtype_name(tensor.dtype)), tensor.shape});
    return recognise_release(main, dspark, heads, where);
  }
  Release release;
  release.leftover_keys = dspark.has_value();
  if (!dspark && main.n_mtp_layers > 0) release.drafter = DrafterKind::kMtp;
  return named(main, storage_of(main, {}), release);
}

}  // namespace temper
