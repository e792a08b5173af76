#include "base/json.h"

#include <fmt/format.h>

template class nlohmann::detail::serializer<temper::Json>;

namespace temper {
namespace {

// The library's sentence without its "[json.exception...] " prefix.
std::string reason_of(const nlohmann::json::exception& e) {
  const std::string reason = e.what();
  const size_t end = reason.find("] ");
  return end == std::string::npos ? reason : reason.substr(end + 2);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where, ErrorKind kind) {
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& e) {
    throw Error({.kind = kind,
                 .what = "not valid JSON: " + reason_of(e),
                 .where = fmt::format("{}, byte {}", where, e.byte),
                 .fix = "repair the file or write it again"});
  } catch (const nlohmann::json::exception& e) {   // a number beyond double's range
    throw Error({.kind = kind, .what = "not valid JSON: " + reason_of(e), .where = where, .fix = "repair the file or write it again"});
  }
}

Json read_json(const fs::path& path, ErrorKind kind) { return parse_json(read_file(path), path.string(), kind); }

const Json& json_member(const Json& object, std::string_view key, const std::string& where, ErrorKind kind) {
  if (object.is_object()) {
    if (const auto found = object.find(std::string(key)); found != object.end()) return *found;
  }
  std::string keys;
  if (object.is_object()) {
    for (const auto& item : object.items()) keys += (keys.empty() ? "" : ", ") + item.key();
  }
  throw Error({.kind = kind,
               .what = fmt::format("the key \"{}\" is missing", key),
               .where = where,
               .fix = object.is_object() ? fmt::format("add it; found: {}", keys) : "a JSON object is needed here"});
}

}  // namespace temper
