#pragma once
// JSON as nlohmann's library does it, with our errors.  Objects keep the order of their keys.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace temper {

using Json = nlohmann::ordered_json;
}  // namespace temper

// Compiled once, in json.cpp.
extern template class nlohmann::detail::serializer<temper::Json>;

namespace temper {

/// Parses `text`; errors name `where` and the byte.  `kind` says who must act.
Json parse_json(std::string_view text, const std::string& where, ErrorKind kind = ErrorKind::kData);

/// Parses a file.
Json read_json(const fs::path& path, ErrorKind kind = ErrorKind::kData);

/// The member `key` of `object`, or an error that names it, `where`, and the keys that are there.
const Json& json_member(const Json& object, std::string_view key, const std::string& where,
                        ErrorKind kind = ErrorKind::kData);

}  // namespace temper
