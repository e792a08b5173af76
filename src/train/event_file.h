#pragma once
// TensorBoard event files, written without TensorBoard: TFRecord frames around `tensorflow.Event` messages.
//
// A frame is  length u64 | masked crc32c of the length u32 | message | masked crc32c of the message u32  (little endian);
// masked(c) = rotate_right(c, 15) + 0xa282ead8.  Of Event we write wall_time (1), step (2), file_version (3),
// summary (5) with simple values, session_log (7).

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/files.h"

namespace temper {

/// CRC-32C (Castagnoli) of `bytes`, as in RFC 3720.
uint32_t crc32c(std::string_view bytes);

using Scalar = std::pair<std::string, double>;

/// Appends to one new file in `folder`.  Events of earlier files from `first_step` on are void: a reader drops them, so that a
/// resumed run overwrites what it repeats.  Methods from one thread.
class EventFile {
 public:
  EventFile(const fs::path& folder, int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// One event with all scalars of a step; wall time is now.  Flushed at once.
  void write(int64_t step, std::span<const Scalar> scalars);
  const fs::path& path() const { return path_; }

 private:
  void write_record(const std::string& message);
  fs::path path_;
  std::FILE* file_ = nullptr;
};

}  // namespace temper
