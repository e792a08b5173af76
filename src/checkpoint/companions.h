#pragma once
// The small files of a model folder: which of them go with the weights, into training checkpoints and exports.
// config.json is not one of them: every writer makes its own (model/deepseek_v4/released_json.h).

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"

namespace temper {

/// Name inside the folder ("encoding/encoding_dsv4.py") and content.
using NamedFiles = std::vector<std::pair<std::string, std::string>>;

/// Whether a file of a model folder goes with its weights: tokenizer, chat templates and encoding, generation settings, the
/// Python files that config.json may name, licences.  Not: README.md, which describes the original weights.
bool is_companion(std::string_view name);

/// Names of the companions in a folder, sorted.
std::vector<std::string> companions_of(const fs::path& folder);

/// Everything else in it, sorted, without config.json, weights and hidden files; folders end in "/".
std::vector<std::string> other_files_of(const fs::path& folder);

/// Error{kCheckpoint} for a placeholder (a Git LFS pointer, an HTML page) in place of the file.
std::string read_companion(const fs::path& folder, const std::string& name);

/// The companions of a model that is trained with `tokenizer`: a folder, or a tokenizer.json under any name.  Files of the
/// tokenizer come from there, all others from `model_folder` (empty: there are none); those that are missing there too if its
/// tokenizer.json is that of the model.
NamedFiles read_companions(const fs::path& model_folder, const fs::path& tokenizer);

}  // namespace temper
