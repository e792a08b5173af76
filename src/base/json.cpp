#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_checks.h"
#include "base/json_integer.h"
#include "base/placeholder.h"
#include "base/utf8.h"
#include "base/whole_file.h"

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

int json_depth(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

void throw_json_error(const nlohmann::json::exception& e, const std::string& where, ErrorKind kind) {
  throw Error({.kind = kind, .what = "a value is missing or has another type than it must have: " + reason_of(e), .where = where, .fix = "correct it, or write the file again with the program that made it"});
}

void require_utf8(const std::string& path) {
  if (is_valid_utf8(path)) return;
  throw Error({.kind = ErrorKind::kConfig, .what = "this path is not UTF-8, so no JSON or TOML file can name it", .where = path, .fix = "rename it, or make a link to it that has a UTF-8 name"});
}

std::optional<Json> try_parse_json(std::string_view text) {
  if (json_depth(text) > kMaxJsonDepth) return {};
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return {};
  return json;
}

Json parse_json(std::string_view text, const std::string& where, ErrorKind kind) {
  if (const int depth = json_depth(text); depth > kMaxJsonDepth)
    throw Error({.kind = kind,
                 .what = fmt::format("JSON nested {} deep, at most {} are read", depth, kMaxJsonDepth),
                 .where = where,
                 .fix = "write it with less nesting; no model, tokenizer or data set needs so much"});
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& e) {
    refuse_placeholder(text, where, kind);
    throw Error({.kind = kind,
                 .what = "not valid JSON: " + reason_of(e),
                 .where = fmt::format("{}, byte {}", where, e.byte),
                 .fix = "repair the file or write it again"});
  } catch (const nlohmann::json::exception& e) {   // a number beyond double's range
    throw Error({.kind = kind, .what = "not valid JSON: " + reason_of(e), .where = where, .fix = "repair the file or write it again"});
  }
}

Json read_json(const fs::path& path, ErrorKind kind) { return parse_json(read_small_file(path, kind), path.string(), kind); }

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

int64_t json_integer(const Json& object, std::string_view key, const IntegerBounds& bounds, const std::string& where, ErrorKind kind) {
  const Json& value = json_member(object, key, where, kind);
  const bool fits = value.is_number_integer() && !(value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX));
  if (fits && value.get<int64_t>() >= bounds.min && value.get<int64_t>() <= bounds.max) return value.get<int64_t>();
  throw Error({.kind = kind,
               .what = fmt::format("\"{}\" is {:.60}, needed is a whole number from {} to {}", key, value.is_structured() ? "a list or object" : value.dump(-1, ' ', false, Json::error_handler_t::replace), bounds.min, bounds.max),
               .where = where,
               .fix = "correct this number or write the file again"});
}

}  // namespace temper
