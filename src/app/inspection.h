#pragma once
// What `temper inspect` finds out.

#include <string>

#include "base/files.h"
#include "base/json.h"

namespace temper {

/// The same facts twice: for programs and for people.  json["kind"] is "config", "model", "checkpoint", "run", "data" or
/// "safetensors".
struct Inspection {
  Json json;
  std::string text;
};

/// Finds out what `path` is and describes it.  Values and digests are read if there are at most 4 GB of them, or if
/// `read_values`.
/// Errors  those of the readers; kData if it is none of the kinds
Inspection inspect_path(const fs::path& path, bool read_values);

/// The memory a run folder was planned to take, by what it is, and its measured peak.  Error{kData} if none is recorded.
Inspection inspect_memory(const fs::path& run);

namespace detail {
Inspection inspect_config(const fs::path& path);
Inspection inspect_model(const fs::path& folder, bool read_values);
Inspection inspect_safetensors(const fs::path& file);
Inspection inspect_checkpoint(const fs::path& folder, bool read_values);
Inspection inspect_run(const fs::path& folder);
Inspection inspect_data(const fs::path& file);

inline constexpr uint64_t kAlwaysReadBytes = uint64_t{4} << 30;
/// 1234567 -> "1,234,567"
std::string with_commas(int64_t n);
/// "148.65 GiB"
std::string size_text(uint64_t bytes);
}  // namespace detail

}  // namespace temper
