#include "checkpoint/training_checkpoint.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/partial_folder.h"
#include "base/threads.h"
#include "base/whole_file.h"

namespace temper {
namespace {

constexpr std::string_view kStepPrefix = "step-";
constexpr uint64_t kMostManifestBytes = uint64_t{4} << 30;   // some hundred bytes for each tensor

[[noreturn]] void damaged_checkpoint(std::string what, const std::string& where) {
  throw Error({.kind = ErrorKind::kCheckpoint,
               .what = std::move(what),
               .where = where,
               .fix = "resume from an earlier checkpoint of the same run, after removing this one"});
}

std::optional<int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  int64_t step = 0;
  const char *begin = name.data() + kStepPrefix.size(), *end = name.data() + name.size();
  const auto [at, error] = std::from_chars(begin, end, step);
  if (error != std::errc() || at != end || step < 0) return std::nullopt;
  return step;
}

// The manifest first: from then on the checkpoint does not exist, however far the removal gets.
void remove_checkpoint(const fs::path& folder) {
  mark_as_left_behind(folder);
  remove_path(folder / kManifestName);
  remove_marked_folder(folder);
}

std::string piece_name(const CheckpointTensor& tensor) {
  const bool whole = tensor.value.sizes() == at::IntArrayRef(tensor.logical_shape);
  return whole ? tensor.name : fmt::format("{}@{}", tensor.name, fmt::join(tensor.start, ","));
}

std::span<const std::byte> bytes_of(const Tensor& packed) {
  return {static_cast<const std::byte*>(packed.const_data_ptr()), packed.nbytes()};
}

// A view of mapped bytes; a copy if they do not lie on a multiple of the element's size.
Tensor view_of(std::span<const std::byte> bytes, const std::vector<int64_t>& shape, StoredDtype dtype) {
  const at::TensorOptions options = at::TensorOptions().dtype(scalar_type_of(dtype));
  if (reinterpret_cast<uintptr_t>(bytes.data()) % stored_dtype_bytes(dtype) == 0) return at::from_blob(const_cast<std::byte*>(bytes.data()), shape, options);
  Tensor copy = at::empty(shape, options);
  std::memcpy(copy.data_ptr(), bytes.data(), bytes.size());
  return copy;
}

// The part of `piece` inside the box [start, start + shape), as ranges of both; false if there is none.
bool intersect(const ManifestPiece& piece, at::IntArrayRef start, at::IntArrayRef shape, std::vector<std::array<int64_t, 3>>& ranges) {
  ranges.clear();
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t begin = std::max(piece.start[d], start[d]), end = std::min(piece.start[d] + piece.shape[d], start[d] + shape[d]);
    if (begin >= end) return false;
    ranges.push_back({begin - piece.start[d], begin - start[d], end - begin});
  }
  return true;
}

}  // namespace

CheckpointTensor whole_tensor(std::string name, const Tensor& value) {
  return {.name = std::move(name), .logical_shape = value.sizes().vec(), .start = std::vector<int64_t>(static_cast<size_t>(value.dim()), 0), .value = value};
}

std::vector<ManifestTensor> write_rank_file(const fs::path& folder, int64_t rank, const std::vector<CheckpointTensor>& tensors) {
  const std::string file = fmt::format("rank-{}.safetensors", rank);
  std::vector<StoredTensor> declared;
  for (const CheckpointTensor& tensor : tensors)
    declared.push_back({.name = piece_name(tensor), .dtype = stored_dtype_of(tensor.value.scalar_type()), .shape = tensor.value.sizes().vec()});
  SafetensorsFileWriter writer(folder / file, std::move(declared), {{"format", "pt"}});
  std::unordered_map<std::string, const CheckpointTensor*> by_name;
  for (const CheckpointTensor& tensor : tensors) by_name[piece_name(tensor)] = &tensor;
  std::vector<ManifestTensor> entries;
  for (const StoredTensor& stored : writer.tensors()) {
    const CheckpointTensor& tensor = *by_name.at(stored.name);
    const Tensor packed = tensor.value.contiguous();
    writer.write(stored.name, packed);
    entries.push_back({.name = tensor.name,
                       .dtype = stored.dtype,
                       .shape = tensor.logical_shape,
                       .pieces = {{.file = file, .start = tensor.start, .shape = stored.shape, .offset = stored.offset, .bytes = stored.bytes, .xxh3 = xxh3_of(bytes_of(packed))}}});
  }
  writer.finish();
  return entries;
}

CheckpointWriter::CheckpointWriter(Options options) : options_(std::move(options)) {
  make_writable_folder(options_.folder);
  if (const int64_t n = clean_unfinished_checkpoints(options_.folder); n > 0) log_info("checkpoint", "removed {} unfinished checkpoints of an earlier run", n);
}

CheckpointWriter::~CheckpointWriter() {
  try {
    wait();
  } catch (const std::exception& e) {
    log_warn("checkpoint", "the last checkpoint was not written: {}", e.what());
  }
}

void CheckpointWriter::save(const CheckpointContent& content) {
  wait();
  const auto start = Clock::now();
  CheckpointContent copy = content;
  for (CheckpointTensor& tensor : copy.tensors) {
    Tensor host = at::empty(tensor.value.sizes(), at::TensorOptions().dtype(tensor.value.scalar_type()));
    host.copy_(tensor.value);
    tensor.value = host;
  }
  last_copy_seconds_ = seconds_since(start);
  busy_ = true;
  start_thread([this, copy = std::move(copy)]() mutable {
    const auto write_start = Clock::now();
    try {
      write(std::move(copy));
    } catch (...) {
      error_ = std::current_exception();
    }
    last_write_seconds_ = seconds_since(write_start);
    busy_ = false;
  });
}

template <class Body> void CheckpointWriter::start_thread(Body body) {
  try {
    thread_ = std::thread(std::move(body));
  } catch (const std::system_error& reason) {
    busy_ = false;
    throw_no_thread(reason);
  } catch (...) {
    busy_ = false;
    throw;
  }
}

void CheckpointWriter::wait() {
  if (thread_.joinable()) thread_.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void CheckpointWriter::write(CheckpointContent content) {
  const WhileDoing work(fmt::format("writing the checkpoint of step {}", content.step));
  const fs::path folder = options_.folder / fmt::format("{}{}", kStepPrefix, content.step);
  {
    PartialFolder partial(folder);
    Manifest manifest = {.step = content.step,
                         .seed = content.seed,
                         .mesh = std::move(content.mesh),
                         .data_position = std::move(content.data_position),
                         .state = std::move(content.state),
                         .carried = std::move(content.carried),
                         .tensors = write_rank_file(partial.path(), 0, content.tensors),
                         .files = {}};
    for (const auto& [name, text] : content.files) {
      if (fs::path(name).has_parent_path()) make_writable_folder((partial.path() / name).parent_path());
      write_file_atomic(partial.path() / name, text);
      manifest.files.push_back({.name = name, .bytes = text.size(), .xxh3 = xxh3_of(std::as_bytes(std::span(text)))});
    }
    write_file_atomic(partial.path() / kManifestName, render_manifest(manifest));
    partial.finish(fs::exists(folder / kManifestName));
  }
  if (options_.keep_last <= 0) return;
  std::vector<fs::path> complete = list_checkpoints(options_.folder);
  std::erase(complete, folder);
  while (static_cast<int64_t>(complete.size()) >= options_.keep_last) {
    remove_checkpoint(complete.front());
    complete.erase(complete.begin());
  }
}

std::vector<fs::path> list_checkpoints(const fs::path& folder) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error))
    if (const auto step = step_of(item.path()); step && fs::exists(item.path() / kManifestName)) found.emplace_back(*step, item.path());
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

std::optional<fs::path> find_latest_checkpoint(const fs::path& folder) {
  std::vector<fs::path> all = list_checkpoints(folder);
  if (all.empty()) return std::nullopt;
  return all.back();
}

int64_t clean_unfinished_checkpoints(const fs::path& folder) {
  std::vector<fs::path> unfinished;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error)) {
    std::string name;
    const bool unfinished_step = is_partial_name(item.path(), name) ? step_of(name).has_value() : step_of(item.path()) && !fs::exists(item.path() / kManifestName);
    if (unfinished_step && is_left_behind(item.path())) unfinished.push_back(item.path());
  }
  for (const fs::path& path : unfinished) remove_marked_folder(path);
  return static_cast<int64_t>(unfinished.size());
}

void remove_checkpoints_after(const fs::path& folder, int64_t step) {
  for (const fs::path& path : list_checkpoints(folder))
    if (*step_of(path) > step) remove_checkpoint(path);
}

TrainingCheckpoint::TrainingCheckpoint(const fs::path& folder) : folder_(folder) {
  const fs::path path = folder / kManifestName;
  if (!fs::exists(path)) damaged_checkpoint("there is no manifest.json, so this is no complete checkpoint", folder.string());
  manifest_ = parse_manifest(read_small_file(path, ErrorKind::kCheckpoint, kMostManifestBytes), path.string());
  for (size_t i = 0; i < manifest_.tensors.size(); ++i) {
    const ManifestTensor& tensor = manifest_.tensors[i];
    index_[tensor.name] = i;
    for (const ManifestPiece& piece : tensor.pieces) {
      auto& map = maps_[piece.file];
      if (!map) {
        if (!fs::exists(folder / piece.file)) damaged_checkpoint(fmt::format("{} is missing, it holds {}", piece.file, tensor.name), folder.string());
        map = std::make_unique<MappedFile>(folder / piece.file);
      }
      const uint64_t size = map->bytes().size();
      if (piece.offset > size || piece.bytes > size - piece.offset)
        damaged_checkpoint(fmt::format("{} ends at byte {}, before {} does ({} bytes from {})", piece.file, size, tensor.name, piece.bytes, piece.offset), folder.string());
    }
  }
}

const ManifestTensor* TrainingCheckpoint::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &manifest_.tensors[found->second];
}

const ManifestTensor& TrainingCheckpoint::entry(const std::string& name) const {
  if (const ManifestTensor* found = find(name)) return *found;
  throw Error({.kind = ErrorKind::kCheckpoint,
               .what = fmt::format("the tensor {} is not in this checkpoint", name),
               .where = folder_.string(),
               .fix = "resume with the recipe that wrote it (recipe.toml in this folder): model, optimizer and stage must be the same"});
}

std::span<const std::byte> TrainingCheckpoint::piece_bytes(const ManifestTensor& tensor, const ManifestPiece& piece) const {
  const auto bytes = maps_.at(piece.file)->bytes().subspan(piece.offset, piece.bytes);
  const std::lock_guard lock(mutex_);
  if (checked_.contains(&piece)) return bytes;
  if (xxh3_of(bytes) != piece.xxh3) damaged_checkpoint(fmt::format("the bytes of {} do not have the digest of the manifest", tensor.name), (folder_ / piece.file).string());
  checked_.insert(&piece);
  return bytes;
}

Tensor TrainingCheckpoint::tensor(const std::string& name) const {
  const ManifestTensor& found = entry(name);
  return tensor_box(name, std::vector<int64_t>(found.shape.size(), 0), found.shape);
}

Tensor TrainingCheckpoint::tensor_box(const std::string& name, at::IntArrayRef start, at::IntArrayRef shape) const {
  const ManifestTensor& found = entry(name);
  bool inside = start.size() == found.shape.size() && shape.size() == found.shape.size();
  for (size_t d = 0; inside && d < shape.size(); ++d) inside = start[d] >= 0 && shape[d] >= 0 && start[d] + shape[d] <= found.shape[d];
  if (!inside)
    throw Error({.kind = ErrorKind::kInternal,
                 .what = fmt::format("a box of {} at {} is asked of {} {}", shape_text(shape), shape_text(start), name, shape_text(found.shape)),
                 .where = folder_.string(),
                 .fix = "please report this"});

  const at::TensorOptions options = at::TensorOptions().dtype(scalar_type_of(found.dtype));
  Tensor box = at::empty(shape, options);
  std::vector<std::array<int64_t, 3>> ranges;
  for (const ManifestPiece& piece : found.pieces) {
    if (!intersect(piece, start, shape, ranges)) continue;
    const auto bytes = piece_bytes(found, piece);
    Tensor from = view_of(bytes, piece.shape, found.dtype), into = box;
    for (size_t d = 0; d < ranges.size(); ++d) {
      from = from.narrow(static_cast<int64_t>(d), ranges[d][0], ranges[d][2]);
      into = into.narrow(static_cast<int64_t>(d), ranges[d][1], ranges[d][2]);
    }
    into.copy_(from);
  }
  return box;
}

void TrainingCheckpoint::load_into(const std::string& name, const Tensor& into) const {
  const ManifestTensor& found = entry(name);
  if (into.sizes() != at::IntArrayRef(found.shape) || into.scalar_type() != scalar_type_of(found.dtype))
    throw Error({.kind = ErrorKind::kCheckpoint,
                 .what = fmt::format("{} is {} {} in the checkpoint, needed is {} {}", name, stored_dtype_name(found.dtype), shape_text(found.shape),
                                     dtype_name(into.scalar_type()), shape_text(into.sizes())),
                 .where = folder_.string(),
                 .fix = "resume with the model config and optimizer that wrote it (config.json and recipe.toml in this folder)"});
  into.copy_(tensor(name));
}

bool TrainingCheckpoint::has_file(const std::string& name) const {
  return std::any_of(manifest_.files.begin(), manifest_.files.end(), [&](const ManifestFile& file) { return file.name == name; });
}

std::string TrainingCheckpoint::file(const std::string& name) const {
  for (const ManifestFile& file : manifest_.files) {
    if (file.name != name) continue;
    std::string content = read_small_file(folder_ / name, ErrorKind::kCheckpoint);
    if (content.size() != file.bytes || xxh3_of(std::as_bytes(std::span(content))) != file.xxh3)
      damaged_checkpoint(fmt::format("{} does not have the digest of the manifest", name), folder_.string());
    return content;
  }
  damaged_checkpoint(fmt::format("{} is not in this checkpoint", name), folder_.string());
}

void TrainingCheckpoint::verify() const {
  for (const ManifestTensor& tensor : manifest_.tensors)
    for (const ManifestPiece& piece : tensor.pieces) piece_bytes(tensor, piece);
  for (const ManifestFile& item : manifest_.files) file(item.name);
}

}  // namespace temper
