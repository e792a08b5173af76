#pragma once
// Files: whole reads, writes that are either complete or absent, and memory maps.
// Errors: everything throws Error, with the path, the system's reason and a fix; a full disk is kResource.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace temper {

namespace fs = std::filesystem;

/// The whole file.  A missing or unreadable file is an error of kind kData.
std::string read_file(const fs::path& path);

/// FileWriter in one call: readers see the old content or the new, never a part.
void write_file_atomic(const fs::path& path, std::string_view content);

/// Makes the folder (and its parents) and proves that it can be written; kResource if not.
void make_writable_folder(const fs::path& folder);

/// fsync of a folder, so that a rename in it survives a power loss.
void sync_folder(const fs::path& folder);

/// The error for a failed system call on `path`, from errno.  kResource while writing, and where the machine is short of something.
[[noreturn]] void throw_system_error(std::string_view doing, const fs::path& path, int error_number);

/// Called before every operation that changes the disk, with what is done and where: "creating", "writing", "flushing",
/// "renaming to", "removing".  It may throw or end the process: tests of crash points do.  An empty hook removes it.
/// Threads  set it while nothing is being written
using DiskHook = std::function<void(std::string_view doing, const fs::path& path)>;
void set_disk_hook(DiskHook hook);

/// rename, through the hook and with our errors.
void rename_path(const fs::path& from, const fs::path& to);
/// Swaps two existing folders or files in one step where the file system can, else in two.
void exchange_paths(const fs::path& a, const fs::path& b);
/// Removes a file, or a folder with all that is in it; a missing one is fine.
void remove_path(const fs::path& path);

/// A file being written front to back, complete or absent: base/output.h.  Without finish() the destructor leaves nothing behind.
class FileWriter {
 public:
  explicit FileWriter(const fs::path& path);  // follows links, opens
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  size_t position() const { return position_; }
  /// Flushes to the disk and gives the file its name.
  void finish();

 private:
  fs::path path_, partial_;
  int fd_ = -1;
  size_t position_ = 0;
};

/// A read-only map of a whole file.  Const methods from any thread.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }
  /// Tells the system that this part is not needed any more (its pages leave the resident set).
  void release(size_t offset, size_t length) const;

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace temper
