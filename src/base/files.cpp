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
#include "base/interrupt.h"
#include "base/output.h"

namespace temper {
namespace {

DiskHook disk_hook;

bool is_about_the_machine(int error_number) {
  switch (error_number) {
    case ENOSPC: case EDQUOT: case EIO: case EROFS: case EMFILE: case ENFILE: case ENOMEM: return true;
    default: return false;
  }
}

int open_or_throw(const fs::path& path, int flags, std::string_view doing) {
  int fd;
  do fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);   // a named pipe waits for the other side here
  while (fd < 0 && errno == EINTR && (check_interrupt(), true));
  if (fd < 0) throw_system_error(doing, path, errno);
  return fd;
}

struct Closer {
  int fd;
  ~Closer() { ::close(fd); }
};

std::string fix_for(int error_number, bool writing, const fs::path& path) {
  switch (error_number) {
    case ENOSPC: case EDQUOT: return "free space on this disk or choose another folder; what was complete before is untouched";
    case EACCES: case EPERM: return writing ? "choose a place that this user may write" : "let this user read it, or choose another path";
    case EROFS: return "choose another place: this file system is mounted read-only";
    case ENAMETOOLONG: return "choose a shorter name: the system takes 255 bytes for one name and 4,095 for a path";
    case ELOOP: return "correct the symbolic links: they lead in a circle";
    case ENOTDIR: return "correct the path: one of its parts is a file, where a folder is needed";
    case EISDIR: return "name a file: this is a folder";
    case ENOENT: return writing ? fmt::format("check the path, or make its folder first: mkdir -p {}", path.has_parent_path() ? path.parent_path().string() : ".")
                                : "check the path";
    case EMFILE: case ENFILE: return "raise the limit of open files (ulimit -n)";
    case EFBIG: return "raise the limit of file sizes (ulimit -f), or choose another file system";
    case ENOMEM: return "use a machine with more memory, or raise its limit (ulimit -v)";
    default: return writing ? "choose another place" : "check the path and its permissions";
  }
}

}  // namespace

Error system_error(std::string_view doing, const fs::path& path, int error_number) {
  const bool writing = doing != "reading" && doing != "opening" && doing != "looking at";
  return Error({.kind = writing || is_about_the_machine(error_number) ? ErrorKind::kResource : ErrorKind::kData,
                .what = fmt::format("{} failed: {}", doing, std::strerror(error_number)),
                .where = path.string(),
                .fix = fix_for(error_number, writing, path)});
}

void throw_system_error(std::string_view doing, const fs::path& path, int error_number) { throw system_error(doing, path, error_number); }

void set_disk_hook(DiskHook hook) { disk_hook = std::move(hook); }

void call_disk_hook(std::string_view doing, const fs::path& path) {
  if (disk_hook) disk_hook(doing, path);
}

void rename_path(const fs::path& from, const fs::path& to) {
  call_disk_hook("renaming to", to);
  if (::rename(from.c_str(), to.c_str()) != 0) throw_system_error("renaming to", to, errno);
}

void exchange_paths(const fs::path& a, const fs::path& b) {
  call_disk_hook("renaming to", b);
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) throw_system_error("renaming to", b, errno);
  const fs::path aside = b.string() + ".aside";
  rename_path(b, aside);
  rename_path(a, b);
  rename_path(aside, a);
}

void remove_path(const fs::path& path) {
  call_disk_hook("removing", path);
  std::error_code error;
  fs::remove_all(path, error);
  if (error) throw_system_error("removing", path, error.value());
}

namespace {

std::string read_descriptor(int fd, const fs::path& path, bool may_be_interrupted) {
  std::string content;
  struct stat info {};
  const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (regular) content.reserve(static_cast<size_t>(info.st_size));
  char buffer[1 << 16];
  while (true) {
    if (may_be_interrupted || !regular) check_interrupt();
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_system_error("reading", path, errno);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace

std::string read_file(const fs::path& path) {
  const Closer closer{open_or_throw(path, O_RDONLY, "opening")};
  return read_descriptor(closer.fd, path, false);
}

std::string read_input(const fs::path& path) {
  if (path == "-") return read_descriptor(STDIN_FILENO, "standard input", true);
  const Closer closer{open_or_throw(path, O_RDONLY, "opening")};
  return read_descriptor(closer.fd, path, true);
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
  const UnnamedFile probe = open_unnamed_file(folder);
  ::close(probe.fd);
  if (!probe.name.empty()) ::unlink(probe.name.c_str());
}

void sync_folder(const fs::path& folder) {
  const fs::path open_path = folder.empty() ? fs::path(".") : folder;
  const int fd = open_or_throw(open_path, O_RDONLY | O_DIRECTORY, "opening");
  ::fsync(fd);   // some file systems refuse it for folders; the rename itself is already ordered
  ::close(fd);
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
