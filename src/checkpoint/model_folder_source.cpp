#include "checkpoint/model_folder_source.h"

#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/companions.h"
#include "checkpoint/foreign_formats.h"
#include "checkpoint/tensor_names.h"

namespace temper {
namespace {

constexpr size_t kNamesShown = 20;
constexpr int64_t kRowsAtOnce = 4096;
std::string some_of(const std::vector<std::string>& names, size_t n_shown = kNamesShown) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), n_shown); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > n_shown) text += fmt::format(", ... ({} in all)", names.size());
  return text;
}

// "layers.0.attn.wq_a.scale", ".scale" -> "layers.0.attn.wq_a.weight"
std::string weight_of(const std::string& name, std::string_view ending) { return name.substr(0, name.size() - ending.size()) + ".weight"; }

fs::path config_folder(const fs::path& path) { return fs::is_regular_file(path) ? path.parent_path() : path; }

bool is_mtp_name(const std::string& stored) { return unwrapped_name(stored).starts_with("mtp."); }

// Same values, read in parts.
bool same_values(const SafetensorsFolder::Entry& a, const SafetensorsFolder::Entry& b) {
  const std::vector<int64_t>& shape = a.stored->shape;
  if (shape != b.stored->shape || shape.empty() || !is_float(a.stored->dtype) || !is_float(b.stored->dtype)) return false;
  const auto row_shape = at::IntArrayRef(shape).slice(1);
  for (int64_t begin = 0; begin < shape[0]; begin += kRowsAtOnce) {
    const int64_t n = std::min(kRowsAtOnce, shape[0] - begin);
    const Tensor left = a.file->rows(*a.stored, begin, n, row_shape), right = b.file->rows(*b.stored, begin, n, row_shape);
    if (!at::equal(left.to(at::kDouble), right.to(at::kDouble))) return false;
  }
  return true;
}

const char* encoding_name(Encoding encoding) {
  return encoding == Encoding::kFp4Block32 ? "fp4" : encoding == Encoding::kFp8Block128 ? "fp8" : encoding == Encoding::kNvfp4 ? "NVFP4" : "bf16";
}

}  // namespace

ModelFolderSource::ModelFolderSource(const fs::path& folder, Contents contents)
    : WeightSource(folder, read_model_config(config_folder(folder))),
      files_(folder, contents),
      release_(recognise_release(config_, read_dspark_config(config_folder(folder), config_), tensor_heads(files_), folder.string())) {
  if (release_.leftover_keys)
    note("config.json has dspark_* keys, but there are no tensors of a drafter (as trainers and transformers leave them): a model without drafter, and the keys are not written again", /*warn=*/true);
  if (release_.drafter == DrafterKind::kDspark) carried_drafter_ = CarriedDrafter{.folder = folder, .record = {}};
  collect();
  const std::vector<std::string> orphans = attach_scales();
  check_width();
  drop_vocabulary_copies();
  recognise_all(orphans);
  settle_storage();
  note_narrow_tensors();
}

void ModelFolderSource::note(std::string text, bool warn) {
  log_line_once(warn ? LogLevel::kWarn : LogLevel::kInfo, "checkpoint", path_.string() + ": " + text);
  notes_.push_back(std::move(text));
}

// Sorts the stored tensors by released name.
void ModelFolderSource::collect() {
  std::vector<std::string> unknown, unused;
  for (const std::string& stored : files_.names()) {
    if (release_.drafter == DrafterKind::kDspark && is_mtp_name(stored)) continue;   // carried as it is: checkpoint/drafter.h
    refuse_foreign_format(unwrapped_name(stored), files_.entry(stored).where());
    const auto meaning = released_name(stored);
    if (!meaning) unknown.push_back(stored);
    else if (meaning->kind == ReleasedName::Kind::kUnused) unused.push_back(stored);
    else if (meaning->kind == ReleasedName::Kind::kWhole) add_whole(stored, meaning->name);
    else add_fused(stored, meaning->name, meaning->kind == ReleasedName::Kind::kGateUp);
  }
  if (!unknown.empty()) refuse_files(fmt::format("tensors with unknown names: {}", some_of(unknown)), path_.string(), "only DeepSeek-V4 models can be read; remove files that are no part of one");
  if (!unused.empty()) note(fmt::format("{} tensors are no weights and are not read: {}", unused.size(), some_of(unused, 3)), /*warn=*/false);
}

void ModelFolderSource::add_whole(const std::string& stored, const std::string& name) {
  const SafetensorsFolder::Entry entry = files_.entry(stored);
  // "hc_attn_scale" ends in an underscore and the word, scales of blocks in a point and the word.
  const bool fresh = name.ends_with(".scale")     ? scales_.emplace(weight_of(name, ".scale"), entry).second
                     : name.ends_with(".scale_2") ? factors_.emplace(weight_of(name, ".scale_2"), entry).second
                                                  : places_.emplace(name, StoredWeight{.weight = entry, .scale = {}, .factor = {}}).second;
  if (!fresh) refuse_files(fmt::format("{} is there twice, once as {}", name, stored), entry.where(), "remove one of the two spellings");
}

void ModelFolderSource::add_fused(const std::string& stored, const std::string& prefix, bool gate_up) {
  const SafetensorsFolder::Entry entry = files_.entry(stored);
  const std::vector<int64_t>& shape = entry.stored->shape;
  const int64_t E = config_.n_routed_experts, D = config_.hidden_size, F = config_.moe_intermediate_size;
  const std::vector<int64_t> needed = gate_up ? std::vector<int64_t>{E, 2 * F, D} : std::vector<int64_t>{E, D, F};
  if (shape != needed || !is_float(entry.stored->dtype))
    refuse_files(fmt::format("{} is {}, the model needs a float type and [{}]", stored, text_of(*entry.stored), fmt::join(needed, ", ")), entry.where(), kOtherConfig);
  for (int64_t e = 0; e < E; ++e) {
    const auto add = [&](const char* which, int64_t first_row) {
      const std::string name = fmt::format("{}.{}.{}.weight", prefix, e, which);
      if (!places_.emplace(name, StoredWeight{.weight = entry, .scale = {}, .factor = {}, .expert = e, .first_row = first_row}).second)
        refuse_files(fmt::format("{} is there twice, once inside {}", name, stored), entry.where(), "remove one of the two spellings");
    };
    if (gate_up) add("w1", 0), add("w3", F);
    else add("w2", 0);
  }
}

// Returns the scales that have no weight.
std::vector<std::string> ModelFolderSource::attach_scales() {
  std::vector<std::string> orphans;
  for (const auto& [weight, entry] : scales_) {
    if (const auto found = places_.find(weight); found != places_.end() && found->second.expert < 0) found->second.scale = entry;
    else orphans.push_back(entry.stored->name);
  }
  for (const auto& [weight, entry] : factors_) {
    if (const auto found = places_.find(weight); found != places_.end() && found->second.expert < 0) found->second.factor = entry;
    else orphans.push_back(entry.stored->name);
  }
  return orphans;
}

// The commonest mistake gets its own words.
void ModelFolderSource::check_width() const {
  const auto embed = places_.find("embed.weight");
  if (embed == places_.end()) return;
  const StoredTensor& stored = *embed->second.weight.stored;
  if (stored.shape.size() != 2 || stored.shape[1] == config_.hidden_size) return;
  const int64_t width = stored.shape[1];
  refuse_files(fmt::format("{} is {}, the model needs [{}, {}]", stored.name, text_of(stored), config_.vocab_size, config_.hidden_size), embed->second.weight.where(),
         fmt::format("these weights are of a model with hidden_size {}{}, the config.json says {}: use the config.json that belongs to them", width,
                     width == 4096 ? " (Flash)" : width == 7168 ? " (Pro)" : "", config_.hidden_size));
}

// Base releases repeat embedding and head under mtp.0.
void ModelFolderSource::drop_vocabulary_copies() {
  std::vector<std::string> dropped;
  for (const auto& [copy, original] : {std::pair<std::string, std::string>{"mtp.0.emb.tok_emb.weight", "embed.weight"}, {"mtp.0.head.weight", "head.weight"}}) {
    const auto found = places_.find(copy), kept = places_.find(original);
    if (found == places_.end() || kept == places_.end()) continue;
    if (files_.n_header_only() == 0 && !same_values(found->second.weight, kept->second.weight))
      refuse_files(fmt::format("{} differs from {}: this MTP layer has a vocabulary of its own", copy, original), found->second.weight.where(),
             fmt::format("remove the tensors mtp.* to read the model without MTP, or use a release whose {} is a copy", copy));
    places_.erase(found);
    dropped.push_back(copy);
  }
  if (!dropped.empty()) note(fmt::format("{} equal embed.weight and head.weight: the copies are dropped", fmt::join(dropped, " and ")), /*warn=*/false);
}

// Every row of the model has its tensors, every tensor has its row.
void ModelFolderSource::recognise_all(std::vector<std::string> unknown) {
  std::vector<std::string> missing, missing_mtp;
  std::unordered_set<std::string> known;
  bool any_mtp = false;
  for (const TensorRow& row : tensor_map(config_)) {
    const bool mtp = row.layer >= config_.n_layers;
    known.insert(row.name);
    if (const auto found = places_.find(row.name); found != places_.end()) {
      any_mtp = any_mtp || mtp;
      found->second.recognise(row);
    } else {
      (mtp ? missing_mtp : missing).push_back(row.name);
    }
  }
  for (const auto& [name, place] : places_)
    if (!known.contains(name)) unknown.push_back(name);
  std::sort(unknown.begin(), unknown.end());
  if (!unknown.empty()) {
    const bool drafts = std::any_of(unknown.begin(), unknown.end(), [](const std::string& name) { return name.starts_with("mtp."); });
    refuse_files(fmt::format("tensors that this model does not have: {}", some_of(unknown)), path_.string(),
           drafts ? "this layout of MTP layers is unknown (draft layers of other releases differ): use the release whose config.json this is"
                  : "the config.json of this folder must be the one of these weights; remove files that are no part of the model");
  }
  if (any_mtp) missing.insert(missing.end(), missing_mtp.begin(), missing_mtp.end());
  if (!missing.empty()) refuse_files(fmt::format("tensors are missing: {}", some_of(missing)), path_.string(), "fetch the folder again, with all its shards");
  mtp_missing_ = !missing_mtp.empty();
}

// config_ says how the tensors are stored; where config.json says something else, that is worth a line.
void ModelFolderSource::settle_storage() {
  std::map<Encoding, int64_t> n_experts;
  int64_t n_blocks = 0, n_float_scales = 0;
  for (const TensorRow& row : tensor_map(config_)) {
    const auto found = places_.find(row.name);
    if (found == places_.end()) continue;
    const StoredWeight& stored = found->second;
    if (row.expert >= 0 && row.layer < config_.n_layers) ++n_experts[stored.encoding];
    n_blocks += stored.encoding != Encoding::kPlain;
    n_float_scales += stored.encoding == Encoding::kFp8Block128 && stored.scale->stored->dtype == StoredDtype::kF32;
  }
  if (n_blocks > 0) {
    const Encoding experts = std::max_element(n_experts.begin(), n_experts.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
    const Encoding released = experts == Encoding::kNvfp4 ? Encoding::kFp4Block32 : experts;
    const Json json = config_json();
    if (!config_.quantized) {
      note(fmt::format("config.json has no quantization_config, but {} tensors are stored in blocks: read as they are stored", n_blocks), /*warn=*/true);
    } else {
      if (json.contains("expert_dtype") && released != config_.expert_encoding)
        note(fmt::format("config.json says expert_dtype {}, but the experts are stored as {}: read as they are stored", json["expert_dtype"].dump(), encoding_name(experts)), /*warn=*/true);
      if (config_.scales_are_e8m0 && n_float_scales > 0)
        note(fmt::format("config.json says scale_fmt ue8m0, but {} scales are F32: they are multiplied as F32", n_float_scales), /*warn=*/false);
    }
    config_.quantized = true;
    config_.expert_encoding = released;
    config_.scales_are_e8m0 = n_float_scales == 0;
  } else if (config_.quantized) {
    note("config.json has a quantization_config, but no tensor is stored in blocks: read as they are stored", /*warn=*/true);
  }
  for (TensorRow& row : tensor_map(config_))
    if (places_.contains(row.name)) rows_.push_back(std::move(row));
}

void ModelFolderSource::note_narrow_tensors() {
  std::vector<std::string> narrow;
  for (const TensorRow& row : rows_) {
    const StoredDtype stored = place(row).weight.stored->dtype;
    if (row.dtype == StoredDtype::kF32 && stored_dtype_bytes(stored) < stored_dtype_bytes(row.dtype)) narrow.push_back(row.name);
  }
  if (!narrow.empty())
    note(fmt::format("{} tensors are stored in 16 bits that releases store in F32 ({}): their values are taken as they are", narrow.size(), some_of(narrow, 3)), /*warn=*/true);
}

Json ModelFolderSource::config_json() const { return read_json(folder() / "config.json", ErrorKind::kConfig); }
std::vector<std::string> ModelFolderSource::companions() const { return companions_of(folder()); }
std::string ModelFolderSource::companion(const std::string& name) const { return read_companion(folder(), name); }
std::vector<std::string> ModelFolderSource::not_carried() const { return other_files_of(folder()); }

Release release_in(const fs::path& folder) {
  const ModelConfig main = read_model_config(config_folder(folder));
  const SafetensorsFolder files(folder, Contents::kAtLeastHeaders);
  return recognise_release(main, read_dspark_config(config_folder(folder), main), tensor_heads(files), folder.string());
}

}  // namespace temper
