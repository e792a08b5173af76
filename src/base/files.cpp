#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/output.h"
#include "base/whole_file.h"

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

// A descriptor that is closed at the end of the scope.
class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }
  struct stat status() const {
    struct stat info {};
    ::fstat(fd_, &info);
    return info;
  }

 private:
  int fd_;
};

const char* kind_of_file(mode_t mode) {
  return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

// Opening never waits for the other end of a pipe.
int open_regular(const fs::path& path, ErrorKind kind = ErrorKind::kData) {
  const int fd = open_or_throw(path, O_RDONLY | O_NONBLOCK, "opening");
  struct stat info {};
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
  ::close(fd);
  throw Error({.kind = kind, .what = fmt::format("this is {}, a regular file is needed", kind_of_file(info.st_mode)), .where = path.string(),
               .fix = "give the path of a file, or copy the content into one"});
}

void check_size(uint64_t bytes, uint64_t most_bytes, const fs::path& path, ErrorKind kind) {
  if (bytes > most_bytes)
    throw Error({.kind = kind, .what = fmt::format("the file has {} bytes or more, at most {} are read", bytes, most_bytes), .where = path.string(),
                 .fix = "check the path: a file of this kind is smaller"});
}

uint64_t size_of(const OpenFile& file) { return S_ISREG(file.status().st_mode) ? static_cast<uint64_t>(file.status().st_size) : 0; }

std::string read_all(const OpenFile& file, const fs::path& path, uint64_t most_bytes, ErrorKind kind = ErrorKind::kData, bool may_be_interrupted = false) {
  check_size(size_of(file), most_bytes, path, kind);
  std::string content;
  content.reserve(size_of(file));
  char buffer[1 << 16];
  while (true) {
    if (may_be_interrupted) check_interrupt();
    const ssize_t n = ::read(file.fd(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_system_error("reading", path, errno);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
    check_size(content.size(), most_bytes, path, kind);
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

std::string read_file(const fs::path& path) { return read_all(OpenFile(open_regular(path)), path, std::numeric_limits<uint64_t>::max()); }

std::string read_input(const fs::path& path) {
  const bool standard = path == "-";
  const OpenFile file(standard ? ::dup(STDIN_FILENO) : open_or_throw(path, O_RDONLY, "opening"));
  const mode_t mode = file.status().st_mode;
  const bool may_never_end = (S_ISCHR(mode) || S_ISBLK(mode)) && !::isatty(file.fd());
  return read_all(file, standard ? "standard input" : path, may_never_end ? kMostDeviceBytes : std::numeric_limits<uint64_t>::max(), ErrorKind::kData, /*may_be_interrupted=*/true);
}

std::string read_small_file(const fs::path& path, ErrorKind kind, uint64_t most_bytes) {
  const OpenFile file(open_regular(path, kind));
  return read_all(file, path, most_bytes, kind);
}

void check_small_file(const fs::path& path, ErrorKind kind, uint64_t most_bytes) { check_size(size_of(OpenFile(open_regular(path, kind))), most_bytes, path, kind); }

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
  const OpenFile file(open_regular(path));
  size_ = static_cast<size_t>(file.status().st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd(), 0);
  if (data == MAP_FAILED) throw_system_error("reading", path, errno);
  data_ = static_cast<const std::byte*>(data);
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
