#pragma once
// What is checked about JSON beyond its grammar: depth, and the types that a reader needs.

#include <optional>

#include "base/json.h"

namespace temper {

/// Deeper JSON is refused wherever it is read: the library copies, writes and frees nested values recursively.
inline constexpr int kMaxJsonDepth = 500;

/// Depth of the brackets outside strings; 1 for a flat list.
int json_depth(std::string_view text);

/// Nothing where `text` is not JSON, or too deep.
std::optional<Json> try_parse_json(std::string_view text);

[[noreturn]] void throw_json_error(const nlohmann::json::exception& e, const std::string& where, ErrorKind kind);
/// Calls `read`, which takes values out of JSON; a value of another type than it takes becomes an error that names `where`.
template <class Read>
auto with_json_errors(const std::string& where, ErrorKind kind, Read read) {
  try {
    return read();
  } catch (const nlohmann::json::exception& e) {
    throw_json_error(e, where, kind);
  }
}

/// Error{kConfig} where a path that will be stored as JSON or TOML is not UTF-8.
void require_utf8(const std::string& path);

}  // namespace temper
