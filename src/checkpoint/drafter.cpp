#include "checkpoint/drafter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "checkpoint/manifest.h"
#include "checkpoint/tensor_names.h"

namespace temper {
namespace {

constexpr const char* kOtherDrafter = "use --drafter drop to export without it, or --drafter FOLDER with a folder that holds a drafter for this model ([model] drafter in a recipe)";

// The numbers that a drafter shares with its model, as config keys.
Json shared_numbers(const ModelConfig& config) {
  Json json = to_json(without_mtp(config));
  for (const char* key : {"quantization_config", "expert_dtype", "torch_dtype", "max_position_embeddings", "initializer_range", "bos_token_id", "eos_token_id"}) json.erase(key);
  return json;
}

void check_same_model(const ModelConfig& of_drafter, const ModelConfig& main, const fs::path& folder) {
  const Json theirs = shared_numbers(of_drafter), ours = shared_numbers(main);
  for (const auto& [key, value] : ours.items()) {
    const Json found = theirs.value(key, Json());
    if (found == value) continue;
    throw Error({.kind = ErrorKind::kConfig,
                 .what = fmt::format("this drafter was made for a model with {} = {}, the model has {}", key, found.dump(), value.dump()),
                 .where = folder.string(),
                 .fix = "choose the drafter of a model of the same size"});
  }
}

std::string dtype_and_shape(const StoredTensor& stored) { return fmt::format("{} [{}]", stored_dtype_name(stored.dtype), fmt::join(stored.shape, ",")); }

}  // namespace

std::vector<TensorHead> tensor_heads(const SafetensorsFolder& files) {
  std::vector<TensorHead> heads;
  for (const std::string& name : files.names()) {
    const StoredTensor& stored = *files.entry(name).stored;
    heads.push_back({unwrapped_name(name), std::string(stored_dtype_name(stored.dtype)), stored.shape});
  }
  return heads;
}

Json to_json(const DrafterRecord& record) {
  return {{"part", "drafter"}, {"kind", drafter_kind_name(DrafterKind::kDspark)}, {"folder", record.folder}, {"stages", record.n_stages}, {"tensors", record.n_tensors},
          {"bytes", record.n_bytes}, {"xxh3", digest_text(record.xxh3)}, {"config", record.keys}, {"note", kDrafterNote}};
}

DrafterRecord drafter_record_from_json(const Json& json, const std::string& where) {
  const auto member = [&](const char* key) -> const Json& { return json_member(json, key, where, ErrorKind::kCheckpoint); };
  try {
    return {.folder = member("folder").get<std::string>(),
            .n_stages = member("stages").get<int64_t>(),
            .n_tensors = member("tensors").get<int64_t>(),
            .n_bytes = member("bytes").get<uint64_t>(),
            .xxh3 = parse_digest(member("xxh3"), where),
            .keys = member("config")};
  } catch (const Json::exception& e) {
    throw Error({.kind = ErrorKind::kCheckpoint, .what = fmt::format("the record of the drafter is damaged: {}", e.what()), .where = where, .fix = kOtherDrafter});
  }
}

Drafter::Drafter(const fs::path& folder, const ModelConfig& main) : folder_(fs::absolute(folder).lexically_normal()) {
  const WhileDoing work("reading the drafter in " + folder.string());
  const fs::path config_folder = fs::is_regular_file(folder) ? folder.parent_path() : folder;
  const ModelConfig config = read_model_config(config_folder);
  const std::optional<DsparkConfig> dspark = read_dspark_config(config_folder, config);
  files_ = std::make_unique<SafetensorsFolder>(folder);
  std::vector<TensorHead> heads = tensor_heads(*files_);
  std::erase_if(heads, [](const auto& head) { return !head.name.starts_with("mtp."); });
  const Release release = recognise_release(config, dspark, heads, folder.string());
  if (release.drafter != DrafterKind::kDspark)
    throw Error({.kind = ErrorKind::kCheckpoint, .what = fmt::format("there is no DSpark drafter in this folder (found: {})", drafter_kind_name(release.drafter)),
                 .where = folder.string(), .fix = "give the folder of a release with DSpark drafter (0731, 0813, DSpark)"});
  check_same_model(config, main, folder);
  for (const std::string& stored : files_->names())
    if (const std::string name = unwrapped_name(stored); name.starts_with("mtp.")) tensors_.push_back({name, files_->entry(stored)});
  std::ranges::sort(tensors_, {}, &CarriedTensor::name);
  keys_ = dspark->keys;
  n_stages_ = release.n_stages;
}

uint64_t Drafter::n_bytes() const {
  uint64_t n = 0;
  for (const CarriedTensor& tensor : tensors_) n += tensor.entry.stored->bytes;
  return n;
}

void Drafter::for_each_part(const CarriedTensor& tensor, const std::function<void(const Tensor& rows)>& body) const {
  const StoredTensor& stored = *tensor.entry.stored;
  const int64_t n_rows = stored.shape.at(0);
  const int64_t row_bytes = n_rows > 0 ? static_cast<int64_t>(stored.bytes) / n_rows : 0;
  const int64_t step = std::max<int64_t>(1, kPartBytes / std::max<int64_t>(1, row_bytes));
  const at::IntArrayRef row_shape = at::IntArrayRef(stored.shape).slice(1);
  for (int64_t begin = 0; begin < n_rows; begin += step) {
    check_interrupt();
    const int64_t n = std::min(step, n_rows - begin);
    body(tensor.entry.file->rows(stored, begin, n, row_shape));
    tensor.entry.file->release(stored.offset + static_cast<uint64_t>(begin * row_bytes), static_cast<uint64_t>(n * row_bytes));
  }
}

uint64_t Drafter::digest() const {
  std::string list;
  for (const CarriedTensor& tensor : tensors_) {
    Xxh3 bytes;
    for_each_part(tensor, [&](const Tensor& rows) { bytes.add({static_cast<const std::byte*>(rows.const_data_ptr()), rows.nbytes()}); });
    list += fmt::format("{} {} {}\n", tensor.name, dtype_and_shape(*tensor.entry.stored), digest_text(bytes.value()));
  }
  return xxh3_of(std::as_bytes(std::span(list)));
}

DrafterRecord Drafter::record() const {
  return {.folder = folder_.string(), .n_stages = n_stages_, .n_tensors = std::ssize(tensors_), .n_bytes = n_bytes(), .xxh3 = digest(), .keys = keys_};
}

namespace {

Drafter open_recorded(const DrafterRecord& record, const ModelConfig& main) {
  const auto refuse = [&](const std::string& what) { throw Error({.kind = ErrorKind::kCheckpoint, .what = what, .where = record.folder, .fix = kOtherDrafter}); };
  if (!fs::exists(record.folder)) refuse("the drafter of this run is carried from a folder that is gone");
  std::optional<Drafter> drafter;
  try {
    drafter.emplace(record.folder, main);
  } catch (const Error& error) {
    refuse(fmt::format("the drafter of this run is carried from a folder that has changed: {}", error.parts().what));
  }
  if (std::ssize(drafter->tensors()) != record.n_tensors || drafter->n_bytes() != record.n_bytes || drafter->keys() != record.keys || drafter->digest() != record.xxh3)
    refuse("the drafter of this run is carried from a folder whose drafter has changed: its digest is not the recorded one");
  return std::move(*drafter);
}

}  // namespace

std::optional<Drafter> choose_drafter(const std::string& choice, const std::optional<CarriedDrafter>& carried, const ModelConfig& main) {
  if (choice == kDropDrafter) return std::nullopt;
  if (choice != kKeepDrafter) return Drafter(choice, main);
  if (!carried) return std::nullopt;
  return carried->record ? open_recorded(*carried->record, main) : Drafter(carried->folder, main);
}

}  // namespace temper
