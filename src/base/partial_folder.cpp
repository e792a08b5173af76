#include "base/partial_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/output.h"

namespace temper {
namespace {

constexpr const char* kMarkName = ".temper_partial";
constexpr std::string_view kMark = "temper is filling this folder, or left it unfinished; it may be removed\n";
constexpr std::string_view kSuffix = ".partial";

// The mark, open and locked; -1 where another process holds it.
int open_mark(const fs::path& folder, int flags) {
  const fs::path mark = folder / kMarkName;
  const int fd = ::open(mark.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) throw_system_error("creating", mark, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return fd;   // a file system without locks
  ::close(fd);
  return -1;
}

}  // namespace

bool is_partial_name(const fs::path& path, std::string& name) {
  const std::string text = path.filename().string();
  const size_t at = text.rfind(kSuffix);
  if (at == std::string::npos || at == 0) return false;
  const std::string_view rest = std::string_view(text).substr(at + kSuffix.size());
  const bool numbered = rest.size() > 1 && rest[0] == '-' && std::all_of(rest.begin() + 1, rest.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!rest.empty() && !numbered) return false;
  name = text.substr(0, at);
  return true;
}

bool is_left_behind(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(folder, error))) return false;
  if (fs::is_empty(folder, error) && !error) return true;
  const fs::path mark = folder / kMarkName;
  if (!fs::is_regular_file(fs::symlink_status(mark, error)) || fs::file_size(mark, error) != kMark.size() || read_file(mark) != kMark) return false;
  const int fd = open_mark(folder, O_RDWR);
  if (fd < 0) return false;
  ::close(fd);
  return true;
}

void mark_as_left_behind(const fs::path& folder) {
  const int fd = open_mark(folder, O_RDWR | O_CREAT);
  if (fd < 0) return;
  try {
    write_all(fd, kMark, folder / kMarkName);
  } catch (const Error&) {
    // A full disk: removing is what makes room.
  }
  ::close(fd);
}

void remove_marked_folder(const fs::path& folder) {
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error))
    if (item.path().filename() != kMarkName) remove_path(item.path());
  remove_path(folder);
}

PartialFolder::PartialFolder(const fs::path& folder) : folder_(folder) {
  const std::string first = folder.string() + std::string(kSuffix);
  for (int n = 1; partial_.empty(); ++n) {
    const fs::path partial = n == 1 ? fs::path(first) : fs::path(fmt::format("{}-{}", first, n));
    if (is_left_behind(partial)) remove_marked_folder(partial);
    if (take(partial)) partial_ = partial;
  }
}

// Makes and marks the folder; false if the name is taken.
bool PartialFolder::take(const fs::path& partial) {
  call_disk_hook("creating", partial);
  if (::mkdir(partial.c_str(), 0755) != 0) {
    if (errno != EEXIST) throw_system_error("making the folder", partial, errno);
    return false;
  }
  try {
    lock_ = open_mark(partial, O_RDWR | O_CREAT);
    write_all(lock_, kMark, partial / kMarkName);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
  return true;
}

PartialFolder::~PartialFolder() {
  if (lock_ < 0) return;
  std::error_code ignored;
  fs::remove_all(partial_, ignored);   // gives the space back on a full disk
  ::close(lock_);
}

void PartialFolder::finish(bool replace) {
  sync_folder(partial_);
  if (replace) {
    mark_as_left_behind(folder_);
    exchange_paths(partial_, folder_);
  } else {
    rename_path(partial_, folder_);   // an empty folder gives way
  }
  ::close(lock_);
  lock_ = -1;
  remove_path(folder_ / kMarkName);
  sync_folder(folder_);
  sync_folder(folder_.parent_path());
  if (replace) remove_marked_folder(partial_);
}

}  // namespace temper
