#include "checkpoint/safetensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/json_checks.h"
#include "base/output.h"
#include "base/placeholder.h"
#include "base/whole_file.h"

namespace temper {
namespace {

constexpr std::pair<StoredDtype, at::ScalarType> kScalarTypes[] = {
    {StoredDtype::kF64, at::kDouble},   {StoredDtype::kF32, at::kFloat},  {StoredDtype::kF16, at::kHalf},
    {StoredDtype::kBF16, at::kBFloat16}, {StoredDtype::kF8_E4M3, at::ScalarType::Float8_e4m3fn},
    {StoredDtype::kF8_E5M2, at::ScalarType::Float8_e5m2}, {StoredDtype::kF8_E8M0, at::ScalarType::Float8_e8m0fnu},
    {StoredDtype::kI64, at::kLong},     {StoredDtype::kI32, at::kInt},    {StoredDtype::kI16, at::kShort},
    {StoredDtype::kI8, at::kChar},      {StoredDtype::kU64, at::kUInt64}, {StoredDtype::kU32, at::kUInt32},
    {StoredDtype::kU16, at::kUInt16},   {StoredDtype::kU8, at::kByte},    {StoredDtype::kBool, at::kBool},
};

std::shared_ptr<const MappedFile> map_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) refuse_files("there is no such file", path.string(), kFetchAgain);
  return std::make_shared<const MappedFile>(path);
}

std::vector<fs::path> files_of_folder(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error))
    if (item.path().extension() == ".safetensors") files.push_back(item.path());
  if (error) throw_system_error("reading", folder, error.value());
  std::sort(files.begin(), files.end());
  return files;
}

// Every shard of the index, or what became of them.
std::vector<fs::path> files_of_index(const fs::path& folder, const std::map<std::string, std::string>& shard_of) {
  std::set<std::string> shards;
  for (const auto& [name, shard] : shard_of) shards.insert(shard);
  std::vector<fs::path> files;
  std::vector<std::string> missing;
  for (const std::string& shard : shards) {
    if (fs::exists(folder / shard)) files.push_back(folder / shard);
    else missing.push_back(shard);
  }
  if (missing.empty()) return files;
  const bool one_file = files.empty() && fs::exists(folder / "model.safetensors");
  if (one_file)
    refuse_files(fmt::format("none of the {} shards of the index is here, but model.safetensors is: the index was left by an earlier save", shards.size()), (folder / kIndexName).string(),
           fmt::format("if model.safetensors is the model, remove {}", kIndexName));
  const size_t n_shown = std::min<size_t>(missing.size(), 5);
  const std::string what = missing.size() == 1 ? fmt::format("the shard {} is missing (1 of {})", missing[0], shards.size())
                                               : fmt::format("{} of {} shards are missing: {}{}", missing.size(), shards.size(),
                                                             fmt::join(missing.begin(), missing.begin() + static_cast<long>(n_shown), ", "), missing.size() > n_shown ? ", ..." : "");
  refuse_files(what, (folder / kIndexName).string(), "fetch the missing files into this folder");
}

// Without an index, names like model-00001-of-00003.safetensors say how many there must be.
void check_shards_are_complete(const fs::path& folder, const std::vector<fs::path>& files) {
  std::map<std::string, std::set<std::string>> numbers;   // of "-of-00003.safetensors"
  for (const fs::path& file : files) {
    const std::string name = file.filename().string();
    const size_t of = name.rfind("-of-");
    if (of == std::string::npos || of < 5) continue;
    const std::string_view number = std::string_view(name).substr(of - 5, 5), total = std::string_view(name).substr(of + 4, 5);
    const auto digits = [](std::string_view text) { return text.size() == 5 && text.find_first_not_of("0123456789") == std::string_view::npos; };
    if (digits(number) && digits(total) && name.substr(of + 9) == ".safetensors") numbers[std::string(total)].insert(std::string(number));
  }
  for (const auto& [total, found] : numbers)
    if (found.size() < std::stoul(total))
      refuse_files(fmt::format("{} of {} shards are here, and no index", found.size(), std::stoul(total)), folder.string(), "fetch the missing files into this folder, with model.safetensors.index.json");
}

[[noreturn]] void refuse_folder_without_weights(const fs::path& folder) {
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error)) {
    const std::string ending = item.path().extension().string();
    if (is_other_weights_file(item.path().filename().string()))
      refuse_files(fmt::format("the weights are in {}: only safetensors can be read", item.path().filename().string()), folder.string(),
             ending == ".gguf" ? "use the safetensors release that the GGUF file was made from" : "save them as safetensors: from_pretrained and save_pretrained(folder) of transformers do it");
  }
  refuse_files("there is no .safetensors file in this folder", folder.string(), "give the folder that holds config.json and the weights");
}

void sort_by_element_size(std::vector<StoredTensor>& tensors) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return stored_dtype_bytes(a.dtype) > stored_dtype_bytes(b.dtype); });
}

}  // namespace

void refuse_files(std::string what, const std::string& where, std::string fix) {
  throw Error({.kind = ErrorKind::kCheckpoint, .what = std::move(what), .where = where, .fix = std::move(fix)});
}

bool is_other_weights_file(std::string_view name) {
  return (name.ends_with(".bin") && (name.starts_with("pytorch_model") || name.starts_with("adapter_model") || name.starts_with("consolidated"))) || name.ends_with(".pt") || name.ends_with(".pth") ||
         name.ends_with(".gguf") || name.ends_with(".ckpt") || name.ends_with(".npz");
}

at::ScalarType scalar_type_of(StoredDtype dtype) {
  for (const auto& [stored, scalar] : kScalarTypes)
    if (stored == dtype) return scalar;
  refuse_files(fmt::format("{} has no tensor type", stored_dtype_name(dtype)), "", "convert the tensor to another dtype");
}

StoredDtype stored_dtype_of(at::ScalarType dtype) {
  for (const auto& [stored, scalar] : kScalarTypes)
    if (scalar == dtype) return stored;
  refuse_files(fmt::format("{} cannot be stored in safetensors", dtype_name(dtype)), "", "convert the tensor to another dtype");
}

SafetensorsIndex read_index(const fs::path& path) {
  // Not base/json's ordered objects: they search their keys one by one, and an index has up to 145,000.
  const std::string text = read_small_file(path, ErrorKind::kCheckpoint);
  if (json_depth(text) > kMaxJsonDepth) refuse_files(fmt::format("the index nests JSON more than {} deep", kMaxJsonDepth), path.string(), kFetchAgain);
  refuse_placeholder(text, path.string(), ErrorKind::kCheckpoint);
  const nlohmann::json index = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (index.is_discarded()) refuse_files("the index is not valid JSON", path.string(), kFetchAgain);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    refuse_files("the index has no object \"weight_map\"", path.string(), kFetchAgain);
  const nlohmann::json& weight_map = index["weight_map"];
  SafetensorsIndex result;
  for (const auto& [name, shard] : weight_map.items()) {
    if (!shard.is_string()) refuse_files(fmt::format("the shard of {} is not a file name", name), path.string(), kFetchAgain);
    const std::string file = fs::path(shard.get<std::string>()).lexically_normal().string();   // "./x" is x
    if (fs::path(file).filename() != file || !file.ends_with(".safetensors"))
      refuse_files(fmt::format("the shard of {} is \"{}\", needed is a .safetensors file of the same folder", name, file), path.string(), kFetchAgain);
    result.shard_of[name] = file;
  }
  if (result.shard_of.empty()) refuse_files("the index names no tensor", path.string(), kFetchAgain);
  if (const auto metadata = index.find("metadata"); metadata != index.end() && metadata->is_object())
    if (const auto total = metadata->find("total_size"); total != metadata->end() && total->is_number_unsigned()) result.total_bytes = total->get<uint64_t>();
  return result;
}

SafetensorsFile::SafetensorsFile(const fs::path& path, Contents contents) : map_(map_file(path)) {
  const std::span<const std::byte> bytes = map_->bytes();
  const bool no_data = ends_with_its_header(bytes, bytes.size());
  if (no_data) header_ = parse_safetensors_header_alone(bytes, path.string());
  else header_ = parse_safetensors_header(bytes, bytes.size(), path.string());
  header_only_ = no_data && std::ranges::any_of(header_.tensors, [](const StoredTensor& tensor) { return tensor.bytes > 0; });
  if (header_only_ && contents == Contents::kWhole)
    refuse_files("the file ends with its header: there are no values in it", path.string(), "fetch the whole file; temper inspect reads headers alone");
}

Tensor SafetensorsFile::tensor(const StoredTensor& tensor) const { return view(bytes(tensor), tensor.dtype, tensor.shape); }

Tensor SafetensorsFile::rows(const StoredTensor& tensor, int64_t first, int64_t n, at::IntArrayRef row_shape) const {
  const uint64_t row_bytes = *element_count(std::span(row_shape.data(), row_shape.size())) * stored_dtype_bytes(tensor.dtype);
  std::vector<int64_t> shape = row_shape.vec();
  shape.insert(shape.begin(), n);
  return view(bytes(tensor).subspan(static_cast<uint64_t>(first) * row_bytes, static_cast<uint64_t>(n) * row_bytes), tensor.dtype, shape);
}

Tensor SafetensorsFile::view(std::span<const std::byte> part, StoredDtype dtype, at::IntArrayRef shape) const {
  const at::TensorOptions options = at::TensorOptions().dtype(scalar_type_of(dtype));
  if (!part.empty() && reinterpret_cast<uintptr_t>(part.data()) % stored_dtype_bytes(dtype) == 0) {
    // The deleter's copy of the pointer keeps the map alive as long as the view.
    return at::from_blob(const_cast<std::byte*>(part.data()), shape, [map = map_](void*) {}, options);
  }
  Tensor copy = at::empty(shape, options);
  if (!part.empty()) std::memcpy(copy.data_ptr(), part.data(), part.size());
  return copy;
}

SafetensorsFolder::SafetensorsFolder(const fs::path& path, Contents contents) : path_(path) {
  std::error_code error;
  std::map<std::string, std::string> shard_of;   // empty without an index
  std::vector<fs::path> files;
  const fs::path index = path / kIndexName;
  if (fs::is_regular_file(path, error)) {
    files.push_back(path);
  } else if (!fs::is_directory(path, error)) {
    refuse_files("there is no such file or folder", path.string(), "give a model folder or a .safetensors file");
  } else if (fs::exists(index)) {
    shard_of = read_index(index).shard_of;
    files = files_of_index(path, shard_of);
  } else {
    files = files_of_folder(path);
    if (files.empty()) refuse_folder_without_weights(path);
    check_shards_are_complete(path, files);
  }

  for (const fs::path& file : files) {
    const auto& opened = files_.emplace_back(std::make_unique<SafetensorsFile>(file, contents));
    for (const StoredTensor& tensor : opened->tensors()) {
      const auto [at, fresh] = entries_.emplace(tensor.name, Entry{opened.get(), &tensor});
      if (!fresh)
        refuse_files(fmt::format("{} is in two files, {} and {}", tensor.name, at->second.file->path().filename().string(), file.filename().string()),
               path.string(), "remove the files that do not belong to this model");
      names_.push_back(tensor.name);
      if (shard_of.empty()) continue;
      const auto listed = shard_of.find(tensor.name);
      if (listed == shard_of.end()) refuse_files(fmt::format("{} is not in the index", tensor.name), file.string(), kFetchAgain);
      if (listed->second != file.filename()) refuse_files(fmt::format("the index puts {} into {}", tensor.name, listed->second), file.string(), kFetchAgain);
    }
  }
  for (const auto& [name, shard] : shard_of)
    if (!entries_.contains(name)) refuse_files(fmt::format("{} is in the index, but not in {}", name, shard), index.string(), kFetchAgain);
}

std::optional<SafetensorsFolder::Entry> SafetensorsFolder::find(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

SafetensorsFolder::Entry SafetensorsFolder::entry(const std::string& name) const {
  if (const auto found = find(name)) return *found;
  refuse_files(fmt::format("the tensor {} is missing", name), path_.string(), kFetchAgain);
}

Tensor SafetensorsFolder::tensor(const std::string& name) const {
  const Entry found = entry(name);
  return found.file->tensor(*found.stored);
}

void SafetensorsFolder::release(const std::string& name) const {
  const Entry found = entry(name);
  found.file->release(*found.stored);
}

bool holds_weights(const fs::path& folder) { return fs::is_directory(folder) && !files_of_folder(folder).empty(); }

size_t SafetensorsFolder::n_header_only() const {
  return static_cast<size_t>(std::ranges::count_if(files_, [](const auto& file) { return file->header_only(); }));
}

uint64_t SafetensorsFolder::data_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [name, entry] : entries_) bytes += entry.stored->bytes;
  return bytes;
}

SafetensorsFileWriter::SafetensorsFileWriter(const fs::path& path, std::vector<StoredTensor> tensors,
                                             const std::map<std::string, std::string>& metadata)
    : SafetensorsFileWriter(std::make_unique<FileWriter>(path), std::move(tensors), metadata) {}

SafetensorsFileWriter::SafetensorsFileWriter(std::unique_ptr<FileWriter> file, std::vector<StoredTensor> tensors,
                                             const std::map<std::string, std::string>& metadata)
    : tensors_(std::move(tensors)), file_(std::move(file)) {
  sort_by_element_size(tensors_);
  file_->write(render_safetensors_header(tensors_, metadata));
}

namespace {
[[noreturn]] void not_declared(const std::string& name, const Tensor& value, const std::string& declared) {
  throw Error({.kind = ErrorKind::kInternal,
               .what = fmt::format("{} ({} {}) is written, declared was {}", name, dtype_name(value.scalar_type()), shape_text(value.sizes()), declared),
               .where = "safetensors writer",
               .fix = "please report this"});
}
}  // namespace

void SafetensorsFileWriter::write(const std::string& name, const Tensor& value) {
  if (next_ >= tensors_.size() || value.sizes() != at::IntArrayRef(tensors_[next_].shape) || part_bytes_ > 0)
    not_declared(name, value, next_ < tensors_.size() ? tensors_[next_].name : "nothing more");
  write_part(name, value);
}

void SafetensorsFileWriter::write_part(const std::string& name, const Tensor& rows) {
  if (next_ >= tensors_.size()) not_declared(name, rows, "nothing more");
  const StoredTensor& tensor = tensors_[next_];
  const bool same_rows = rows.dim() == static_cast<int64_t>(tensor.shape.size()) && (rows.dim() == 0 || rows.sizes().slice(1) == at::IntArrayRef(tensor.shape).slice(1));
  if (tensor.name != name || scalar_type_of(tensor.dtype) != rows.scalar_type() || !same_rows || rows.nbytes() > tensor.bytes - part_bytes_)
    not_declared(name, rows, tensor.name);
  const Tensor packed = rows.contiguous();
  file_->write(std::span(static_cast<const std::byte*>(packed.const_data_ptr()), packed.nbytes()));
  part_bytes_ += packed.nbytes();
  if (part_bytes_ < tensor.bytes) return;
  ++next_;
  part_bytes_ = 0;
}

void SafetensorsFileWriter::finish() {
  if (next_ != tensors_.size())
    throw Error({.kind = ErrorKind::kInternal,
                 .what = fmt::format("{} of {} declared tensors were written, {} is next", next_, tensors_.size(), tensors_[next_].name),
                 .where = "safetensors writer",
                 .fix = "please report this"});
  file_->finish();
}

SafetensorsFolderWriter::SafetensorsFolderWriter(const fs::path& folder, std::vector<StoredTensor> tensors, Options options)
    : folder_(folder), options_(std::move(options)) {
  if (!folder_.has_filename()) folder_ = folder_.parent_path();   // "out/" names the folder "out"
  if (folder_.empty()) throw Error({.kind = ErrorKind::kConfig, .what = "the folder to write has no name", .where = "", .fix = "name a folder that does not exist yet"});
  std::error_code error;
  if (folder_.has_parent_path()) fs::create_directories(folder_.parent_path(), error);
  if (error) throw_system_error("making the folder", folder_.parent_path(), error.value());
  folder_ = follow_links(folder_);
  const fs::file_status status = fs::status(folder_, error);
  if (fs::exists(status) && (!fs::is_directory(status) || !fs::is_empty(folder_, error)))
    throw Error({.kind = ErrorKind::kConfig,
                 .what = fs::is_directory(status) ? "the folder to write exists and is not empty" : "the folder to write has the name of something that is no folder",
                 .where = folder.string(),
                 .fix = "choose another folder, or remove this one first"});
  partial_ = std::make_unique<PartialFolder>(folder_);

  uint64_t bytes = 0;
  for (StoredTensor& tensor : tensors) {
    const uint64_t size = *element_count(tensor.shape) * stored_dtype_bytes(tensor.dtype);
    if (shards_.empty() || (bytes + size > options_.max_shard_bytes && !shards_.back().empty())) {
      shards_.emplace_back();
      bytes = 0;
    }
    shards_.back().push_back(std::move(tensor));
    bytes += size;
    data_bytes_ += size;
  }
  for (auto& shard : shards_) sort_by_element_size(shard);
}

std::vector<std::string> SafetensorsFolderWriter::order() const {
  std::vector<std::string> names;
  for (const auto& shard : shards_)
    for (const StoredTensor& tensor : shard) names.push_back(tensor.name);
  return names;
}

SafetensorsFolderWriter::~SafetensorsFolderWriter() = default;

namespace {
std::string shard_name(size_t shard, size_t n_shards) {
  return n_shards == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, n_shards);
}
}  // namespace

void SafetensorsFolderWriter::next_shard() {
  if (writer_) {
    writer_->finish();
    writer_.reset();
    ++shard_;
  }
  if (shard_ < shards_.size())
    writer_ = std::make_unique<SafetensorsFileWriter>(partial_->path() / shard_name(shard_, shards_.size()), shards_[shard_], options_.metadata);
}

// The writer of the shard in which the next tensor lies.
SafetensorsFileWriter& SafetensorsFolderWriter::writer_for(const std::string& name) {
  if (!writer_ || writer_->n_complete() == shards_[shard_].size()) next_shard();
  if (writer_) return *writer_;
  throw Error({.kind = ErrorKind::kInternal, .what = name + " is written, nothing more was declared", .where = "safetensors writer", .fix = "please report this"});
}

void SafetensorsFolderWriter::write(const std::string& name, const Tensor& value) { writer_for(name).write(name, value); }
void SafetensorsFolderWriter::write_part(const std::string& name, const Tensor& rows) { writer_for(name).write_part(name, rows); }

void SafetensorsFolderWriter::write_file(const std::string& name, std::string_view content) {
  const fs::path file = partial_->path() / name;
  if (fs::path(name).has_parent_path()) make_writable_folder(file.parent_path());
  write_file_atomic(file, content);
}

void SafetensorsFolderWriter::finish() {
  if (writer_) next_shard();
  if (shard_ != shards_.size())
    throw Error({.kind = ErrorKind::kInternal, .what = "declared shards were not written", .where = folder_.string(), .fix = "please report this"});
  if (shards_.size() > 1) {
    std::string map;
    for (size_t s = 0; s < shards_.size(); ++s) {
      for (const StoredTensor& tensor : shards_[s]) {
        map += fmt::format("{}\n    {}: \"{}\"", map.empty() ? "" : ",", nlohmann::json(tensor.name).dump(), shard_name(s, shards_.size()));
      }
    }
    write_file(kIndexName, fmt::format("{{\n  \"metadata\": {{\"total_size\": {}}},\n  \"weight_map\": {{{}\n  }}\n}}\n", data_bytes_, map));
  }
  partial_->finish();
}

void write_safetensors(const fs::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_safetensors(std::make_unique<FileWriter>(path), tensors, metadata);
}

void write_safetensors(std::unique_ptr<FileWriter> file, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<StoredTensor> declared;
  for (const auto& [name, value] : tensors) declared.push_back({.name = name, .dtype = stored_dtype_of(value.scalar_type()), .shape = value.sizes().vec()});
  SafetensorsFileWriter writer(std::move(file), std::move(declared), metadata);
  std::unordered_map<std::string, Tensor> by_name(tensors.begin(), tensors.end());
  for (const StoredTensor& tensor : writer.tensors()) writer.write(tensor.name, by_name.at(tensor.name));
  writer.finish();
}

}  // namespace temper
