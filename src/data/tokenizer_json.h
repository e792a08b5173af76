#pragma once
// The raw content of a tokenizer.json: the two long lists as they stand, the rest as a JSON tree.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace temper {

struct TokenizerJson {
  std::vector<std::pair<std::string, int64_t>> vocab;         // spelling -> id, in the order of the file; duplicates kept
  std::vector<std::pair<std::string, std::string>> merges;    // in the order of the file
  Json rest;                                                  // everything else
};

/// Reads the lists without building a tree for them: an object of 128,000 ordered keys would take minutes.
/// Errors: Error{kData} for broken JSON, nesting deeper than 64, or entries of a wrong type.
TokenizerJson parse_raw_tokenizer_json(std::string_view text, const std::string& where);

/// "left right" -> its two halves; Error{kData} unless there is exactly one space with text on both sides.
std::pair<std::string, std::string> split_merge(std::string_view line, const std::string& where);

}  // namespace temper
