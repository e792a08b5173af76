#include "data/reasoning.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "data/row_format.h"

namespace temper {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>", kBlanks = " \t\r\n";

/// Behind the closing tag: blank lines go, and blanks on the tag's own line; the indentation of a later line stays.
std::string answer_behind(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return "";
  const size_t line = text.substr(0, first).find_last_of("\r\n");
  return std::string(text.substr(line == std::string_view::npos ? first : line + 1));
}

/// A closing tag that is written about: between quotes, or with a space before it and a space, a mark or the end behind it.  The end of reasoning
/// stands on a line of its own, or between words without spaces.
bool is_quoted(std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, at), behind = text.substr(at + kClose.size());
  constexpr std::pair<std::string_view, std::string_view> kQuotes[] = {{"`", "`"}, {"'", "'"}, {"\"", "\""}, {"(", ")"}, {"[", "]"}, {"“", "”"}, {"‘", "’"}, {"「", "」"}, {"『", "』"}, {"《", "》"}, {"（", "）"}, {"«", "»"}};
  for (const auto& [open, close] : kQuotes)
    if (before.ends_with(open) && behind.starts_with(close)) return true;
  return before.ends_with(' ') && (behind.empty() || std::string_view(" .,;:!?\"'`)").find(behind[0]) != std::string_view::npos);
}

struct Parts {
  std::string reasoning, answer;
};

std::optional<Parts> split_at_tags(std::string_view text, const std::string& where) {
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size()), close = text.find(kClose);
  const bool opened = text.substr(begin).starts_with(kOpen);
  if (opened && close == std::string_view::npos) throw BadRow{fmt::format("{}: the <think> at its start has no </think>: the reasoning is cut off", where)};
  if (close == std::string_view::npos) return std::nullopt;
  const bool other_tag = text.find(kOpen) < close || text.find(kClose, close + 1) != std::string_view::npos;
  if (!opened && (other_tag || is_quoted(text, close))) return std::nullopt;
  const size_t from = opened ? begin + kOpen.size() : begin;
  return Parts{trimmed(text.substr(from, std::max(close, from) - from)), answer_behind(text.substr(close + kClose.size()))};
}

/// Adds `found`, which a second source may only repeat.
void add_reasoning(std::string& reasoning, const std::string& found, const std::string& where) {
  if (is_blank(found) || trimmed(found) == trimmed(reasoning)) return;
  if (!is_blank(reasoning)) throw BadRow{fmt::format("{} holds two different texts of reasoning", where)};
  reasoning = found;
}

/// The parts of a list that are reasoning are taken out of it.
std::string take_reasoning_parts(Json& content, const std::string& where) {
  std::string reasoning;
  Json kept = Json::array();
  for (const Json& part : content) {
    const std::string type = part.is_object() && part.contains("type") && part["type"].is_string() ? part["type"].get<std::string>() : "";
    if (type != "thinking" && type != "reasoning") {
      kept.push_back(part);
      continue;
    }
    for (const char* key : {"thinking", "reasoning", "text"}) {
      if (!part.contains(key)) continue;
      if (!reasoning.empty()) reasoning += "\n\n";
      reasoning += text_of_content(part[key], where);
      break;
    }
  }
  content = std::move(kept);
  return reasoning;
}

}  // namespace

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  return begin == std::string_view::npos ? "" : std::string(text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin));
}

bool is_blank(std::string_view text) { return text.find_first_not_of(kBlanks) == std::string_view::npos; }

std::string text_of_content(const Json& content, const std::string& where) {
  if (content.is_null()) return "";
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) throw BadRow{fmt::format("{}: content is {}, a string is needed", where, content.type_name())};
  std::string text;
  bool first = true;
  for (const Json& part : content) {
    const bool typed = part.is_object() && part.value("type", Json()) == "text" && part.contains("text") && part["text"].is_string();
    if (!typed && !part.is_string()) throw BadRow{fmt::format("{}: content holds a part that is not text", where)};
    if (!first) text += "\n\n";
    first = false;
    text += typed ? part["text"].get<std::string>() : part.get<std::string>();
  }
  return text;
}

bool normalise_reasoning(Json& message, const std::string& where) {
  std::string reasoning;
  for (const char* key : {"reasoning_content", "reasoning", "thinking"}) {
    const auto found = message.find(key);
    if (found == message.end()) continue;
    if (!found->is_null() && !found->is_string()) throw BadRow{fmt::format("{}: {} is {}, a string is needed", where, key, found->type_name())};
    if (found->is_string()) add_reasoning(reasoning, found->get<std::string>(), where);
    message.erase(key);
  }
  bool tag_left = false;
  if (const auto content = message.find("content"); content != message.end() && !content->is_null()) {
    if (content->is_array()) add_reasoning(reasoning, take_reasoning_parts(*content, where), where);
    std::string answer = text_of_content(*content, where);
    if (std::optional<Parts> parts = split_at_tags(answer, where)) {
      add_reasoning(reasoning, parts->reasoning, where);
      answer = std::move(parts->answer);
    }
    tag_left = answer.find(kOpen) != std::string::npos || answer.find(kClose) != std::string::npos;
    *content = std::move(answer);
  }
  if (!is_blank(reasoning)) message["reasoning_content"] = std::move(reasoning);
  return tag_left;
}

}  // namespace temper
