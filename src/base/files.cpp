#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace temper {
namespace {

DiskHook disk_hook;

void before(std::string_view doing, const fs::path& path) {
  if (disk_hook) disk_hook(doing, path);
}

bool is_about_the_machine(int error_number) {
  switch (error_number) {
    case ENOSPC: case EDQUOT: case EIO: case EROFS: case EMFILE: case ENFILE: case ENOMEM: return true;
    default: return false;
  }
}

int open_or_throw(const fs::path& path, int flags, std::string_view doing) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) throw_system_error(doing, path, errno);
  return fd;
}

void sync_or_throw(int fd, const fs::path& path) {
  before("flushing", path);
  int result;
  do result = ::fsync(fd);
  while (result != 0 && errno == EINTR);   // Ctrl-C on a network disk
  if (result != 0 && errno != EINVAL) throw_system_error("flushing", path, errno);
}

}  // namespace

void throw_system_error(std::string_view doing, const fs::path& path, int error_number) {
  const bool writing = doing != "reading" && doing != "opening";
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  throw Error({.kind = writing || is_about_the_machine(error_number) ? ErrorKind::kResource : ErrorKind::kData,
               .what = fmt::format("{} failed: {}", doing, std::strerror(error_number)),
               .where = path.string(),
               .fix = full      ? "free space on this disk or choose another folder; what was complete before is untouched"
                      : writing ? "choose a folder that this user may write"
                                : "check the path and its permissions"});
}

void set_disk_hook(DiskHook hook) { disk_hook = std::move(hook); }

void rename_path(const fs::path& from, const fs::path& to) {
  before("renaming to", to);
  if (::rename(from.c_str(), to.c_str()) != 0) throw_system_error("renaming to", to, errno);
}

void exchange_paths(const fs::path& a, const fs::path& b) {
  before("renaming to", b);
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) throw_system_error("renaming to", b, errno);
  const fs::path aside = b.string() + ".aside";
  rename_path(b, aside);
  rename_path(a, b);
  rename_path(aside, a);
}

void remove_path(const fs::path& path) {
  before("removing", path);
  std::error_code error;
  fs::remove_all(path, error);
  if (error) throw_system_error("removing", path, error.value());
}

std::string read_file(const fs::path& path) {
  const int fd = open_or_throw(path, O_RDONLY, "opening");
  std::string content;
  struct stat info {};
  if (::fstat(fd, &info) == 0 && info.st_size > 0) content.reserve(static_cast<size_t>(info.st_size));
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      ::close(fd);
      throw_system_error("reading", path, reason);
    }
    if (n == 0) break;
    content.append(buffer, static_cast<size_t>(n));
  }
  ::close(fd);
  return content;
}

void write_file_atomic(const fs::path& path, std::string_view content) {
  FileWriter writer(path);
  writer.write(content);
  writer.finish();
}

void make_writable_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_system_error("making the folder", folder, error.value());
  const fs::path probe = folder / fmt::format(".write_probe_{}", ::getpid());
  const int fd = ::open(probe.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) throw_system_error("writing into the folder", folder, errno);
  ::close(fd);
  ::unlink(probe.c_str());
}

void sync_folder(const fs::path& folder) {
  const fs::path open_path = folder.empty() ? fs::path(".") : folder;
  const int fd = open_or_throw(open_path, O_RDONLY | O_DIRECTORY, "opening");
  ::fsync(fd);   // some file systems refuse it for folders; the rename itself is already ordered
  ::close(fd);
}

FileWriter::FileWriter(const fs::path& path) : path_(path), partial_(path.string() + ".partial") {
  before("creating", path_);
  fd_ = open_or_throw(partial_, O_CREAT | O_TRUNC | O_WRONLY, "creating");
}

FileWriter::~FileWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(partial_.c_str());
}

void FileWriter::write(std::span<const std::byte> bytes) {
  if (!bytes.empty()) before("writing", path_);
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_system_error("writing", path_, errno);
    bytes = bytes.subspan(static_cast<size_t>(n));
    position_ += static_cast<size_t>(n);
  }
}

void FileWriter::write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

void FileWriter::finish() {
  sync_or_throw(fd_, path_);
  const int closed = ::close(fd_);
  fd_ = -1;
  if (closed != 0) throw_system_error("writing", path_, errno);
  rename_path(partial_, path_);
  sync_folder(path_.parent_path());
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const int fd = open_or_throw(path, O_RDONLY, "opening");
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw_system_error("reading", path, S_ISDIR(info.st_mode) ? EISDIR : EINVAL);
  }
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int reason = errno;
    ::close(fd);
    if (data == MAP_FAILED) throw_system_error("reading", path, reason);
    data_ = static_cast<const std::byte*>(data);
  } else {
    ::close(fd);
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(other.data_), size_(other.size_) {
  other.data_ = nullptr;
  other.size_ = 0;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(size_t offset, size_t length) const {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page, end = (offset + length) / page * page;
  if (data_ && end > begin) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace temper
