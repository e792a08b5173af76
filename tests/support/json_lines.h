#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "test_places.h"

namespace temper::test {

/// One JSON value for each line that is not empty.
inline std::vector<Json> json_lines(std::string_view text, const std::string& where) {
  std::vector<Json> rows;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) rows.push_back(parse_json(text.substr(at, end - at), where));
    at = end + 1;
  }
  return rows;
}

inline std::vector<Json> read_json_lines(const fs::path& path) { return json_lines(read_file(path), path.string()); }

/// The rows of tests/golden/`name`.
inline std::vector<Json> read_golden_lines(const std::string& name) { return read_json_lines(fs::path(TEMPER_SOURCE_DIR) / "tests/golden" / name); }

}  // namespace temper::test
