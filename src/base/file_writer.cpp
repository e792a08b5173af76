#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>

#include "base/interrupt.h"
#include "base/output.h"

namespace temper {
namespace {

constexpr int kMostLinks = 40;   // as Linux follows
constexpr const char* kOwnDescriptors = "/proc/self/fd";
constexpr const char* kStandardOutput = "-";

void sync_or_throw(int fd, const fs::path& path) {
  call_disk_hook("flushing", path);
  int result;
  do result = ::fsync(fd);
  while (result != 0 && errno == EINTR);   // Ctrl-C on a network disk
  if (result != 0 && errno != EINVAL) throw_system_error("flushing", path, errno);
}

// A name that nobody else uses: the caller tries again where it is taken all the same.
fs::path fresh_name(const fs::path& folder) {
  static std::atomic<uint32_t> count{0};
  return folder / fmt::format(".temper-{}-{}.partial", ::getpid(), count++);
}

std::string descriptor_link(int fd) { return fmt::format("{}/{}", kOwnDescriptors, fd); }

struct Destination {
  fs::path path;
  int descriptor = -1;   // of this process, where the path names one: /dev/stdout, /dev/fd/3
};

// Follows links by hand: a link that leads to an open descriptor must be seen before the file behind that descriptor.
Destination follow(const fs::path& path) {
  std::error_code error;
  const fs::path own = fs::canonical(kOwnDescriptors, error);
  fs::path place = path;
  for (int n = 0; n < kMostLinks; ++n) {
    if (!place.has_filename()) throw_system_error("creating", path, EISDIR);   // "out/"
    const fs::path folder = fs::canonical(place.has_parent_path() ? place.parent_path() : ".", error);
    if (error) throw_system_error("creating", path, error.value());
    place = folder / place.filename();
    if (!own.empty() && folder == own) {
      const std::string number = place.filename();
      int fd = -1;
      const auto [end, wrong] = std::from_chars(number.data(), number.data() + number.size(), fd);
      if (wrong == std::errc() && end == number.data() + number.size()) return {place, fd};
    }
    const fs::path target = fs::read_symlink(place, error);
    if (error) return {place};   // no link, or nothing there yet
    place = target.is_absolute() ? target : folder / target;
  }
  throw_system_error("creating", path, ELOOP);
}

}  // namespace

UnnamedFile open_unnamed_file(const fs::path& folder) {
  if (::access(kOwnDescriptors, X_OK) == 0) {   // finish() names the file through it
    const int fd = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    if (fd >= 0) return {fd, {}};
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) throw_system_error("writing into the folder", folder, errno);
  }
  while (true) {
    fs::path name = fresh_name(folder);
    const int fd = ::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (fd >= 0) return {fd, std::move(name)};
    if (errno != EEXIST) throw_system_error("writing into the folder", folder, errno);
  }
}

void write_all(int fd, std::span<const std::byte> bytes, const fs::path& name) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(n));
    } else if (errno == EPIPE) {
      throw ReaderGone{};
    } else if (errno == EAGAIN) {   // whoever opened it made it non-blocking
      pollfd ready{fd, POLLOUT, 0};
      ::poll(&ready, 1, -1);
      check_interrupt();
    } else if (errno == EINTR) {
      struct stat info {};
      if (::fstat(fd, &info) == 0 && !S_ISREG(info.st_mode)) check_interrupt();   // a pipe that nobody empties
    } else {
      throw_system_error("writing", name, errno);
    }
  }
}

namespace {

// A stream: a duplicate of an open descriptor.
int duplicate(int fd, const fs::path& path) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) throw_system_error("writing", path, EBADF);
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw_system_error("writing", path, errno);
  return copy;
}

// A stream: a pipe or a device.
int open_special(const fs::path& target, const fs::path& path) {
  int fd;
  do fd = ::open(target.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);   // a named pipe waits for its reader here
  while (fd < 0 && errno == EINTR && (check_interrupt(), true));
  if (fd < 0) throw_system_error("writing", path, errno);
  return fd;
}

}  // namespace

fs::path follow_links(const fs::path& path) { return follow(path).path; }

bool is_stream(const fs::path& path) {
  if (path == kStandardOutput) return true;
  const Destination destination = follow(path);
  std::error_code error;
  const fs::file_status status = fs::status(destination.path, error);
  return destination.descriptor >= 0 || (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status));
}

bool is_standard_output(const fs::path& path) {
  if (path == kStandardOutput) return true;
  struct stat named {}, output {};
  return is_stream(path) && ::stat(path.c_str(), &named) == 0 && ::fstat(STDOUT_FILENO, &output) == 0 && named.st_dev == output.st_dev && named.st_ino == output.st_ino;
}

// `partial_`: the name the file has until finish(), empty where it has none yet; equal to `path_` for what is written directly.
FileWriter::FileWriter(const fs::path& path) : path_(path) {
  call_disk_hook("creating", path_);
  if (path == kStandardOutput) {
    partial_ = path_;
    fd_ = duplicate(STDOUT_FILENO, path_);
    return;
  }
  const auto [target, descriptor] = follow(path);
  struct stat info {};
  const bool exists = ::stat(target.c_str(), &info) == 0;
  if (!exists && errno != ENOENT && descriptor < 0) throw_system_error("creating", path, errno);
  if (descriptor >= 0 || (exists && !S_ISREG(info.st_mode))) {
    if (descriptor < 0 && S_ISDIR(info.st_mode)) throw_system_error("creating", path, EISDIR);
    partial_ = path_;
    fd_ = descriptor >= 0 ? duplicate(descriptor, path) : open_special(target, path);
    return;
  }
  if (exists && ::faccessat(AT_FDCWD, target.c_str(), W_OK, AT_EACCESS) != 0) throw_system_error("writing", path, errno);
  if (target.filename().native().size() > NAME_MAX) throw_system_error("creating", path, ENAMETOOLONG);   // before the work, not after it
  UnnamedFile file = open_unnamed_file(target.parent_path());
  if (exists) ::fchmod(file.fd, info.st_mode & 07777);
  path_ = target;
  partial_ = std::move(file.name);
  fd_ = file.fd;
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
  if (!partial_.empty() && partial_ != path_) ::unlink(partial_.c_str());
}

void FileWriter::write(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  call_disk_hook("writing", path_);
  write_all(fd_, bytes, path_);
  position_ += bytes.size();
}

void FileWriter::write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

void FileWriter::finish() {
  const bool stream = partial_ == path_;
  if (!stream) {
    sync_or_throw(fd_, path_);
    while (partial_.empty()) {
      fs::path name = fresh_name(path_.parent_path());
      if (::linkat(AT_FDCWD, descriptor_link(fd_).c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) partial_ = std::move(name);
      else if (errno != EEXIST) throw_system_error("creating", path_, errno);
    }
  }
  const int closed = ::close(fd_);
  fd_ = -1;
  if (closed != 0) throw_system_error("writing", path_, errno);
  if (stream) return;
  rename_path(partial_, path_);
  partial_.clear();
  sync_folder(path_.parent_path());
}

}  // namespace temper
