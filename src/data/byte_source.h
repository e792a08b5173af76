#pragma once
// Bytes of a file front to back: plain, gzip (also several members one after another) or zstd (several frames).
// What a file is, its first bytes say; its name only has to agree.

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/files.h"

namespace temper {

/// Errors  Error{kData} for a missing, unreadable, damaged or cut-off file, and for a container that is none of the three.
///         Interrupted on Ctrl-C
/// Threads one at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills the front of `into`, returns the number of bytes; 0 is the end of a complete file.
  virtual size_t read(std::span<char> into) = 0;
};

/// Read once, without seeking: a pipe (/dev/stdin) is as good as a file.
std::unique_ptr<ByteSource> open_bytes(const fs::path& path);
/// All bytes of a file, unpacked; "-" is standard input.  Errors: those of ByteSource.
std::string read_all_bytes(const fs::path& path);

}  // namespace temper
