#pragma once
// Whole files of a certain kind (any regular file: read_file; pipes too: read_input in base/output.h).

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace temper {

inline constexpr uint64_t kMostSmallFileBytes = uint64_t{256} << 20;

/// A file that is meant to be small: a config, a recipe, a tokenizer, a manifest.
/// Error{kind} if it has more than `most_bytes`, or is a pipe, a device or a folder; nothing waits for the other end of a pipe.
std::string read_small_file(const fs::path& path, ErrorKind kind = ErrorKind::kData, uint64_t most_bytes = kMostSmallFileBytes);

/// The same check without reading.
void check_small_file(const fs::path& path, ErrorKind kind = ErrorKind::kData, uint64_t most_bytes = kMostSmallFileBytes);

/// read_input (base/output.h) takes no more from a device: it may never end.
inline constexpr uint64_t kMostDeviceBytes = uint64_t{64} << 20;

}  // namespace temper
