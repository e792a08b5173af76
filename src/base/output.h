#pragma once
// Places that a user names as output, and input that may be a pipe.  How FileWriter treats a place:
//   a file, or nothing yet   the content is complete or absent; an existing file keeps its permissions
//   a symbolic link          stays, and what it names is written
//   "-"                      standard output
//   a pipe, a device, an open descriptor (/dev/stdout, /dev/fd/3)   written directly: what was written cannot be taken back
//   a folder, a missing folder, a place that this user may not write   an error of the constructor, before the work

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace temper {

/// Where the links of `path` lead, all of its folders without links; the last part need not exist.  Errors  kResource
fs::path follow_links(const fs::path& path);

/// True where FileWriter writes directly.
bool is_stream(const fs::path& path);
/// True where it is the program's standard output, under whatever name.
bool is_standard_output(const fs::path& path);

/// Thrown when the reader of a pipe has gone (EPIPE); app/main.cpp ends the program quietly, as `cat | head -1` does.
struct ReaderGone {};

/// Writes all bytes to the descriptor.  Errors  kResource with `name`; ReaderGone
void write_all(int fd, std::span<const std::byte> bytes, const fs::path& name);
inline void write_all(int fd, std::string_view text, const fs::path& name) { write_all(fd, std::as_bytes(std::span(text.data(), text.size())), name); }

/// A new file in `folder` that has no name yet where the file system can do that, else one that nobody else uses.
struct UnnamedFile {
  int fd;
  fs::path name;   // empty: none
};
UnnamedFile open_unnamed_file(const fs::path& folder);

/// A whole file that a user names and that may be very large, or a pipe; "-" is standard input.  Throws Interrupted on Ctrl-C.
std::string read_input(const fs::path& path);

/// What throw_system_error() throws.
Error system_error(std::string_view doing, const fs::path& path, int error_number);

/// Calls the hook of set_disk_hook().
void call_disk_hook(std::string_view doing, const fs::path& path);

}  // namespace temper
