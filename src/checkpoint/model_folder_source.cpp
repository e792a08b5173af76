#include "checkpoint/model_folder_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/companions.h"
#include "checkpoint/tensor_names.h"
#include "kernels/quant.h"

namespace temper {
namespace {

constexpr size_t kNamesShown = 20;

[[noreturn]] void broken(std::string what, const std::string& where, std::string fix) {
  throw Error({.kind = ErrorKind::kCheckpoint, .what = std::move(what), .where = where, .fix = std::move(fix)});
}

std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamesShown); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kNamesShown) text += fmt::format(", ... ({} in all)", names.size());
  return text;
}

std::string weight_of_scale(const std::string& name) { return name.substr(0, name.size() - std::string_view(".scale").size()) + ".weight"; }

bool is_wide(StoredDtype dtype) {
  return dtype == StoredDtype::kBF16 || dtype == StoredDtype::kF32 || dtype == StoredDtype::kF16 || dtype == StoredDtype::kF64;
}

std::vector<int64_t> blocks(const std::vector<int64_t>& shape, int64_t height, int64_t width) {
  return {(shape[0] + height - 1) / height, (shape[1] + width - 1) / width};
}

}  // namespace

ModelFolderSource::ModelFolderSource(const fs::path& folder)
    : WeightSource(folder, read_model_config(fs::is_regular_file(folder) ? folder.parent_path() : folder)), files_(folder) {
  collect();
  std::vector<std::string> missing, missing_mtp;
  std::unordered_set<std::string> known;
  bool any_mtp = false;
  for (TensorRow& row : tensor_map(config_)) {
    const bool mtp = row.layer >= config_.n_layers;
    known.insert(row.name);
    if (places_.contains(row.name)) {
      any_mtp = any_mtp || mtp;
      check(row);
      rows_.push_back(std::move(row));
    } else {
      (mtp ? missing_mtp : missing).push_back(row.name);
    }
  }
  std::vector<std::string> unknown;
  for (const auto& [name, place] : places_)
    if (!known.contains(name)) unknown.push_back(name);
  for (const auto& [weight, scale] : scales_)
    if (!places_.contains(weight) || places_.at(weight).encoding == Encoding::kPlain) unknown.push_back(scale.stored->name);
  std::sort(unknown.begin(), unknown.end());
  if (!unknown.empty()) {
    const bool drafts = std::any_of(unknown.begin(), unknown.end(), [](const std::string& name) { return name.starts_with("mtp."); });
    broken(fmt::format("tensors that this model does not have: {}", some_of(unknown)), folder.string(),
           drafts ? "this layout of MTP layers is none that is known (draft layers of other releases differ): use the release whose config.json this is"
                  : "the config.json of this folder must be the one of these weights; remove files that are no part of the model");
  }
  if (any_mtp) missing.insert(missing.end(), missing_mtp.begin(), missing_mtp.end());
  if (!missing.empty()) broken(fmt::format("tensors are missing: {}", some_of(missing)), folder.string(), "fetch the folder again, with all its shards");
  mtp_missing_ = !missing_mtp.empty();
}

// Sorts the stored tensors by released name.
void ModelFolderSource::collect() {
  std::vector<std::string> unknown;
  for (const std::string& stored : files_.names()) {
    const auto meaning = released_name(stored);
    if (!meaning) unknown.push_back(stored);
    else if (meaning->kind == ReleasedName::Kind::kWhole) add_whole(stored, meaning->name);
    else add_fused(stored, meaning->name, meaning->kind == ReleasedName::Kind::kGateUp);
  }
  if (!unknown.empty()) broken(fmt::format("tensors with unknown names: {}", some_of(unknown)), path_.string(), "only DeepSeek-V4 models can be read; remove files that are no part of one");
}

void ModelFolderSource::add_whole(const std::string& stored, const std::string& name) {
  const SafetensorsFolder::Entry entry = files_.entry(stored);
  // "hc_attn_scale" ends in an underscore and the word, block scales in a point and the word.
  const bool is_scale = name.ends_with(".scale");
  const bool fresh = is_scale ? scales_.emplace(weight_of_scale(name), entry).second : places_.emplace(name, Place{.weight = entry, .scale = {}}).second;
  if (!fresh) broken(fmt::format("{} is there twice, once as {}", name, stored), entry.where(), "remove one of the two spellings");
}

void ModelFolderSource::add_fused(const std::string& stored, const std::string& prefix, bool gate_up) {
  const SafetensorsFolder::Entry entry = files_.entry(stored);
  const std::vector<int64_t>& shape = entry.stored->shape;
  const int64_t E = config_.n_routed_experts, D = config_.hidden_size, F = config_.moe_intermediate_size;
  const std::vector<int64_t> needed = gate_up ? std::vector<int64_t>{E, 2 * F, D} : std::vector<int64_t>{E, D, F};
  if (shape != needed || !is_wide(entry.stored->dtype))
    broken(fmt::format("{} is {} [{}], the model needs a float type and [{}]", stored, stored_dtype_name(entry.stored->dtype), fmt::join(shape, ", "), fmt::join(needed, ", ")),
           entry.where(), "the config.json of this folder must be the one of these weights");
  for (int64_t e = 0; e < E; ++e) {
    const auto add = [&](const char* which, int64_t first_row) {
      const std::string name = fmt::format("{}.{}.{}.weight", prefix, e, which);
      if (!places_.emplace(name, Place{.weight = entry, .scale = {}, .encoding = Encoding::kPlain, .expert = e, .first_row = first_row}).second)
        broken(fmt::format("{} is there twice, once inside {}", name, stored), entry.where(), "remove one of the two spellings");
    };
    if (gate_up) add("w1", 0), add("w3", F);
    else add("w2", 0);
  }
}

// Decides the format of one tensor by what is stored, and checks dtype and shapes.
void ModelFolderSource::check(const TensorRow& row) {
  Place& place = places_.at(row.name);
  if (place.expert >= 0) return;   // checked as a whole
  const StoredTensor& stored = *place.weight.stored;
  const auto wrong = [&](const std::string& found, const std::string& needed) {
    std::string fix = "the config.json of this folder must be the one of these weights";
    if (const auto embed = places_.find("embed.weight"); embed != places_.end() && embed->second.weight.stored->shape.size() == 2 && embed->second.weight.stored->shape[1] != config_.hidden_size) {
      const int64_t width = embed->second.weight.stored->shape[1];
      fix = fmt::format("these weights are of a model with hidden_size {}{}, the config.json says {}: use the config.json that belongs to them", width,
                        width == 4096 ? " (Flash)" : width == 7168 ? " (Pro)" : "", config_.hidden_size);
    }
    broken(fmt::format("{} is {}, the model needs {}", stored.name, found, needed), place.weight.where(), fix);
  };
  const auto text = [](StoredDtype dtype, const std::vector<int64_t>& shape) { return fmt::format("{} [{}]", stored_dtype_name(dtype), fmt::join(shape, ", ")); };

  if (row.holds_ids()) {
    if ((stored.dtype != StoredDtype::kI64 && stored.dtype != StoredDtype::kI32) || stored.shape != row.shape) wrong(text(stored.dtype, stored.shape), text(StoredDtype::kI64, row.shape));
    return;
  }
  if (is_wide(stored.dtype)) {
    if (stored.shape != row.shape) wrong(fmt::format("[{}]", fmt::join(stored.shape, ", ")), fmt::format("[{}]", fmt::join(row.shape, ", ")));
    return;
  }
  const bool fp8 = stored.dtype == StoredDtype::kF8_E4M3, fp4 = stored.dtype == StoredDtype::kI8 || stored.dtype == StoredDtype::kU8;
  if ((!fp8 && !fp4) || row.shape.size() != 2 || !row.name.ends_with(".weight"))
    wrong(text(stored.dtype, stored.shape), fmt::format("BF16, F32, or for linear layers F8_E4M3 or packed I8, of logical shape [{}]", fmt::join(row.shape, ", ")));
  place.encoding = fp8 ? Encoding::kFp8Block128 : Encoding::kFp4Block32;
  if (fp4 && row.shape[1] % 2 != 0) wrong(text(stored.dtype, stored.shape), "an even number of columns for FP4");
  const std::vector<int64_t> codes = fp8 ? row.shape : std::vector<int64_t>{row.shape[0], row.shape[1] / 2};
  if (stored.shape != codes) wrong(text(stored.dtype, stored.shape), text(stored.dtype, codes));
  const auto scale = scales_.find(row.name);
  if (scale == scales_.end()) broken(fmt::format("{} is {} but has no scale", stored.name, stored_dtype_name(stored.dtype)), place.weight.where(), "fetch the folder again, with all its shards");
  place.scale = scale->second;
  const StoredTensor& s = *place.scale->stored;
  const std::vector<int64_t> needed = fp8 ? blocks(row.shape, 128, 128) : blocks(row.shape, 1, 32);
  if (s.shape != needed || (s.dtype != StoredDtype::kF8_E8M0 && !(fp8 && s.dtype == StoredDtype::kF32)))
    broken(fmt::format("{} is {}, needed is F8_E8M0{} [{}]", s.name, text(s.dtype, s.shape), fp8 ? " or F32" : "", fmt::join(needed, ", ")), place.scale->where(),
           "only blocks of 128x128 (FP8) and 1x32 (FP4) are known: use the official layout");
}

const ModelFolderSource::Place& ModelFolderSource::place(const TensorRow& row) const { return places_.at(row.name); }

at::ScalarType ModelFolderSource::exact_dtype(const TensorRow& row) const {
  const Place& p = place(row);
  if (row.holds_ids()) return at::kLong;
  if (p.encoding == Encoding::kPlain) return scalar_type_of(p.weight.stored->dtype);
  return p.scale->stored->dtype == StoredDtype::kF8_E8M0 ? at::kBFloat16 : at::kFloat;
}

Tensor ModelFolderSource::read_rows(const TensorRow& row, int64_t begin, int64_t end) const {
  const Place& p = place(row);
  const StoredTensor& whole = *p.weight.stored;
  // A fused tensor [E, rows, columns] is a list of E * rows rows.
  const auto row_shape = at::IntArrayRef(whole.shape).slice(p.expert >= 0 ? 2 : 1);
  const int64_t first = (p.expert >= 0 ? p.expert * whole.shape[1] : 0) + p.first_row + begin;
  const Tensor stored = p.weight.file->rows(whole, first, end - begin, row_shape);
  if (p.encoding == Encoding::kPlain) return row.holds_ids() ? stored.to(at::kLong) : stored;
  const Tensor scales = p.scale->file->tensor(*p.scale->stored);
  const Dequantized result = p.encoding == Encoding::kFp8Block128 ? dequantize_fp8_block(stored, scales.narrow(0, begin / 128, (end + 127) / 128 - begin / 128))
                                                      : dequantize_fp4_block(stored, scales.narrow(0, begin, end - begin));
  if (result.n_bad > 0)
    broken(fmt::format("{} has {} NaN codes or NaN scales", p.weight.stored->name, result.n_bad), p.weight.where(), "the file is damaged: fetch it again");
  return result.value;
}

void ModelFolderSource::release_rows(const TensorRow& row, int64_t begin, int64_t end) const {
  const Place& p = place(row);
  const StoredTensor& stored = *p.weight.stored;
  const bool fused = p.expert >= 0;
  const int64_t n_rows = fused ? stored.shape[0] * stored.shape[1] : stored.shape[0];
  const uint64_t row_bytes = n_rows > 0 ? stored.bytes / static_cast<uint64_t>(n_rows) : 0;
  const int64_t first = (fused ? p.expert * stored.shape[1] : 0) + p.first_row + begin;
  p.weight.file->release(stored.offset + static_cast<uint64_t>(first) * row_bytes, static_cast<uint64_t>(end - begin) * row_bytes);
  if (p.scale && end == row.shape[0]) p.scale->file->release(p.scale->stored->offset, p.scale->stored->bytes);
}

Json ModelFolderSource::config_json() const { return read_json(folder() / "config.json", ErrorKind::kConfig); }
std::vector<std::string> ModelFolderSource::companions() const { return companions_of(folder()); }
std::string ModelFolderSource::companion(const std::string& name) const { return read_companion(folder(), name); }
std::vector<std::string> ModelFolderSource::not_carried() const { return other_files_of(folder()); }

}  // namespace temper
