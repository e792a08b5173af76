#pragma once
// Safetensors files and folders of them.
//
// Reading maps the files: a tensor is a view of the map where its alignment allows, so opening costs only the headers.
// Writing streams: the tensors are declared first (the header precedes the data), then written part by part, so no more than
// a part is in memory.  The order in a file is by element size, the largest first: then every tensor lies on a multiple of its
// element's size, which readers that map the file need.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/partial_folder.h"
#include "checkpoint/safetensors_header.h"
#include "tensor/tensor.h"

namespace temper {

/// The two namings of element types.  Error{kCheckpoint} for stored types libtorch lacks (none of those we read).
at::ScalarType scalar_type_of(StoredDtype dtype);
StoredDtype stored_dtype_of(at::ScalarType dtype);

/// Throws Error{kCheckpoint}: files of a model that cannot be read.  Below it, fixes that several of its callers name.
[[noreturn]] void refuse_files(std::string what, const std::string& where, std::string fix);
inline constexpr const char* kFetchAgain = "fetch the folder again, with all its files";
inline constexpr const char* kOtherConfig = "the config.json of this folder must be the one of these weights";

/// Size of the parts in which long tensors are read and copied.
inline constexpr int64_t kPartBytes = int64_t{16} << 20;

/// Weights in a format that is not safetensors: pytorch_model.bin, *.pth, *.gguf.
bool is_other_weights_file(std::string_view name);

/// What of a file must be there: everything, or at least its header (names, dtypes and shapes are known, values cannot be read).
enum class Contents { kWhole, kAtLeastHeaders };

/// One open file.  Const methods from any thread.
class SafetensorsFile {
 public:
  /// Maps the file and checks its header.  Error{kCheckpoint} names the file and the tensor of the fault.
  explicit SafetensorsFile(const fs::path& path, Contents contents = Contents::kWhole);
  /// The file ends with its header.
  bool header_only() const { return header_only_; }

  const fs::path& path() const { return map_->path(); }
  const std::vector<StoredTensor>& tensors() const { return header_.tensors; }   // sorted by offset
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  std::span<const std::byte> bytes(const StoredTensor& tensor) const { return map_->bytes().subspan(tensor.offset, tensor.bytes); }
  /// Do not write to it: it may be a view of the file's read-only map (which it keeps alive).
  Tensor tensor(const StoredTensor& tensor) const;
  /// Rows [first, first + n) of the tensor seen as a list of rows of `row_shape`; only they are read or copied.
  Tensor rows(const StoredTensor& tensor, int64_t first, int64_t n, at::IntArrayRef row_shape) const;
  /// Its pages leave the resident set; they are read again when touched.
  void release(const StoredTensor& tensor) const { map_->release(tensor.offset, tensor.bytes); }
  void release(uint64_t offset, uint64_t n_bytes) const { map_->release(offset, n_bytes); }

 private:
  Tensor view(std::span<const std::byte> part, StoredDtype dtype, at::IntArrayRef shape) const;

  std::shared_ptr<const MappedFile> map_;
  bool header_only_ = false;
  SafetensorsHeader header_;
};

/// A model as the hub stores it: one file, or a folder of shards with or without model.safetensors.index.json.
/// Const methods from any thread.
class SafetensorsFolder {
 public:
  /// `path`: a .safetensors file, or a folder.  With an index, the shards it names and no others; without one, every
  /// *.safetensors file of the folder.
  /// Errors  kCheckpoint: no weights here, a missing shard, a tensor in two shards, index and shards disagree
  explicit SafetensorsFolder(const fs::path& path, Contents contents = Contents::kWhole);

  struct Entry {
    const SafetensorsFile* file;
    const StoredTensor* stored;
    std::string where() const { return file->path().string(); }
  };
  /// Nothing if there is no such tensor.
  std::optional<Entry> find(const std::string& name) const;
  /// Error{kCheckpoint} if there is no such tensor.
  Entry entry(const std::string& name) const;
  Tensor tensor(const std::string& name) const;
  void release(const std::string& name) const;

  const std::vector<std::string>& names() const { return names_; }   // file by file, in the order of their data
  const fs::path& path() const { return path_; }
  size_t n_files() const { return files_.size(); }
  size_t n_header_only() const;
  uint64_t data_bytes() const;

 private:
  fs::path path_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::unordered_map<std::string, Entry> entries_;
  std::vector<std::string> names_;
};

/// True if the folder has any .safetensors file.
bool holds_weights(const fs::path& folder);

/// model.safetensors.index.json alone: which tensor lies in which file, and "total_size" of its metadata if it is there.
struct SafetensorsIndex {
  std::map<std::string, std::string> shard_of;
  std::optional<uint64_t> total_bytes;
};
inline constexpr const char* kIndexName = "model.safetensors.index.json";
/// Errors  kCheckpoint: not an index
SafetensorsIndex read_index(const fs::path& file);

/// One file, written front to back.  Without finish() nothing is left behind.
class SafetensorsFileWriter {
 public:
  /// `tensors`: names, dtypes and shapes.  They are sorted; tensors() has the order of writing.
  SafetensorsFileWriter(const fs::path& path, std::vector<StoredTensor> tensors, const std::map<std::string, std::string>& metadata);
  SafetensorsFileWriter(std::unique_ptr<FileWriter> file, std::vector<StoredTensor> tensors, const std::map<std::string, std::string>& metadata);
  /// The next tensor.  Error{kInternal} unless name, dtype and shape are those declared.
  void write(const std::string& name, const Tensor& value);
  /// Some rows of the next tensor; the parts of one tensor follow each other until it is complete.
  void write_part(const std::string& name, const Tensor& rows);
  size_t n_complete() const { return next_; }
  /// Flushes to the disk and gives the file its name.  Error{kInternal} if tensors are missing.
  void finish();
  const std::vector<StoredTensor>& tensors() const { return tensors_; }   // sorted stably by element size

 private:
  std::vector<StoredTensor> tensors_;
  size_t next_ = 0;
  uint64_t part_bytes_ = 0;   // of tensors_[next_] that are written
  std::unique_ptr<FileWriter> file_;
};

/// A folder of shards with model.safetensors.index.json (a single shard: model.safetensors without an index, as the hub
/// has it).  Everything is written into `folder`.partial, which finish() renames: the folder is complete or absent.
class SafetensorsFolderWriter {
 public:
  struct Options {
    uint64_t max_shard_bytes = uint64_t{5'000'000'000};
    std::map<std::string, std::string> metadata = {{"format", "pt"}};
  };
  /// Errors  kConfig if `folder` exists and is not empty; kResource if it cannot be written
  SafetensorsFolderWriter(const fs::path& folder, std::vector<StoredTensor> tensors, Options options);
  ~SafetensorsFolderWriter();
  SafetensorsFolderWriter(const SafetensorsFolderWriter&) = delete;
  SafetensorsFolderWriter& operator=(const SafetensorsFolderWriter&) = delete;

  /// All tensors in the order of writing: shards take them as declared, each shard sorts its own.
  std::vector<std::string> order() const;
  /// The next tensor of order().
  void write(const std::string& name, const Tensor& value);
  /// Some rows of the next tensor, as SafetensorsFileWriter::write_part.
  void write_part(const std::string& name, const Tensor& rows);
  uint64_t data_bytes() const { return data_bytes_; }   // of all declared tensors
  size_t n_files() const { return shards_.size(); }
  /// A further file of the folder, e.g. config.json or encoding/encoding_dsv4.py.
  void write_file(const std::string& name, std::string_view content);
  void finish();

 private:
  void next_shard();
  SafetensorsFileWriter& writer_for(const std::string& name);

  fs::path folder_;
  Options options_;
  std::vector<std::vector<StoredTensor>> shards_;
  size_t shard_ = 0;
  std::unique_ptr<PartialFolder> partial_;
  std::unique_ptr<SafetensorsFileWriter> writer_;
  uint64_t data_bytes_ = 0;
};

/// Writes one file from tensors at hand (probe results, golden files).  A file that was opened before the work is written to its end.
void write_safetensors(std::unique_ptr<FileWriter> file, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata);
void write_safetensors(const fs::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace temper
