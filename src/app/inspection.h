#pragma once
// What `temper inspect` finds out.

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace temper {

/// The same facts twice: for programs and for people.  json["kind"] is "config", "model", "checkpoint", "run", "data" or
/// "safetensors".
struct Inspection {
  Json json;
  std::string text;
  std::optional<Error> refused = {};   // data: the error training would end with; the command ends with it after the description
};

/// How data files are looked at: with a recipe's settings and tokenizer, with another tokenizer, or with the default settings.
struct DataView {
  std::string recipe = {}, tokenizer = {};
  std::vector<std::string> overrides = {};   // of the recipe, as in temper train --set
};

/// Finds out what `path` is and describes it.  Values and digests are read if there are at most 4 GB of them, or if
/// `read_values`.
/// Errors  those of the readers; kData if it is none of the kinds
Inspection inspect_path(const fs::path& path, bool read_values, const DataView& data = {});

/// "FILE" or "FILE:N": packed row N (0) of the first pass that training on this file makes, token by token (train/training_sample.h).
/// Errors  those of training; kConfig without recipe and tokenizer; kData for a number beyond the last
Inspection inspect_sample(const std::string& file_and_number, const DataView& data, bool colour);

/// The memory a run folder was planned to take, by what it is, and its measured peak.  Error{kData} if none is recorded.
Inspection inspect_memory(const fs::path& run);

namespace detail {
Inspection inspect_config(const fs::path& path);
Inspection inspect_model(const fs::path& folder, bool read_values);
Inspection inspect_safetensors(const fs::path& file);
Inspection inspect_checkpoint(const fs::path& folder, bool read_values);
Inspection inspect_run(const fs::path& folder);
Inspection inspect_data(const fs::path& file, const DataView& view);

inline constexpr uint64_t kAlwaysReadBytes = uint64_t{4} << 30;
/// 1234567 -> "1,234,567"
std::string with_commas(int64_t n);
/// "148.65 GiB"
std::string size_text(uint64_t bytes);
/// The first twenty.
std::string some_names(const std::vector<std::string>& names);
}  // namespace detail

}  // namespace temper
