#include "data/row_format.h"

#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

#include "base/json_checks.h"
#include "data/message_check.h"

namespace temper {
namespace {

constexpr std::array<std::pair<RowFormat, const char*>, 6> kNames{{{RowFormat::kDocument, "document"},
                                                                   {RowFormat::kText, "text"},
                                                                   {RowFormat::kMessages, "messages"},
                                                                   {RowFormat::kPromptCompletion, "prompt_completion"},
                                                                   {RowFormat::kAlpaca, "alpaca"},
                                                                   {RowFormat::kShareGpt, "sharegpt"}}};

std::string keys_of(const Json& row) {
  std::string keys;
  for (const auto& [key, value] : row.items()) keys += (keys.empty() ? "" : ", ") + key;
  return keys.empty() ? "none" : keys;
}

const Json& field(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) throw BadRow{fmt::format("the field \"{}\" is missing (there are: {})", key, keys_of(object))};
  return *found;
}

std::string string_field(const Json& object, const char* key) {
  const Json& value = field(object, key);
  if (!value.is_string()) throw BadRow{fmt::format("\"{}\" is {}, a string is needed", key, value.type_name())};
  return value.get<std::string>();
}

/// "" if the field is absent or null.
std::string optional_string(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? "" : string_field(object, key);
}

Json message(const char* role, std::string content) { return {{"role", role}, {"content", std::move(content)}}; }

/// A list, or a string that holds one as JSON (how ShareGPT files store tools).
Json tool_list(const Json& value) {
  Json list = value;
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (text.empty()) return Json::array();
    list = try_parse_json(text).value_or("");
  }
  if (list.is_null()) return Json::array();
  if (!list.is_array()) throw BadRow{"\"tools\" is neither a list nor a string that holds one as JSON"};
  return list;
}

void add_system(Json& messages, std::string system, const Json& tools) {
  const bool has_system = !messages.empty() && messages[0].is_object() && messages[0].value("role", Json()) == "system";
  if (!system.empty()) {
    if (has_system) throw BadRow{"a system text stands both beside the messages and in them"};
    messages.insert(messages.begin(), message("system", std::move(system)));
  }
  if (tools.empty()) return;
  if (system.empty() && !has_system) messages.insert(messages.begin(), message("system", ""));
  messages[0]["tools"] = tools;
}

Json from_messages(const Json& row) {
  const Json& list = field(row, "messages");
  if (!list.is_array()) throw BadRow{"\"messages\" is not a list"};
  Json messages = list;
  add_system(messages, optional_string(row, "system"), row.contains("tools") ? tool_list(row["tools"]) : Json::array());
  return messages;
}

Json side_of(const Json& value, const char* key, const char* role) {
  if (value.is_string()) return Json::array({message(role, value.get<std::string>())});
  if (!value.is_array()) throw BadRow{fmt::format("\"{}\" is neither a string nor a list of messages", key)};
  return value;
}

/// Only the completion is trained: answers inside the prompt are masked.
Json from_prompt_completion(const Json& row) {
  Json messages = side_of(field(row, "prompt"), "prompt", "user");
  for (Json& m : messages)
    if (m.is_object() && m.value("role", Json()) == "assistant") m["mask"] = 1;
  for (const Json& m : side_of(field(row, "completion"), "completion", "assistant")) messages.push_back(m);
  add_system(messages, optional_string(row, "system"), row.contains("tools") ? tool_list(row["tools"]) : Json::array());
  return messages;
}

Json from_alpaca(const Json& row, const RowOptions& options) {
  Json messages = Json::array();
  const auto history = row.find("history");
  if (history != row.end() && !history->is_null()) {
    if (!history->is_array()) throw BadRow{"\"history\" is not a list of [question, answer] pairs"};
    for (const Json& pair : *history) {
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
        throw BadRow{"\"history\" holds something that is not a [question, answer] pair of strings"};
      messages.push_back(message("user", pair[0].get<std::string>()));
      messages.push_back(message("assistant", pair[1].get<std::string>()));
      if (options.mask_history) messages.back()["mask"] = 1;
    }
  }
  const std::string input = optional_string(row, "input");
  messages.push_back(message("user", string_field(row, "instruction") + (input.empty() ? "" : "\n" + input)));
  messages.push_back(message("assistant", string_field(row, "output")));
  add_system(messages, optional_string(row, "system"), Json::array());
  return messages;
}

/// {"name": ..., "arguments": {...}}, or a list of those, as JSON in a string.
Json calls_from_text(const std::string& value, int& n_calls) {
  Json parsed = try_parse_json(value).value_or(Json());
  if (parsed.is_object()) parsed = Json::array({parsed});
  if (!parsed.is_array() || parsed.empty()) throw BadRow{"a function_call is not JSON with a name and arguments"};
  Json calls = Json::array();
  for (const Json& call : parsed) {
    if (!call.is_object()) throw BadRow{"a function_call is not JSON with a name and arguments"};
    const Json& arguments = field(call, "arguments");
    calls.push_back({{"id", fmt::format("call_{}", n_calls++)},
                     {"type", "function"},
                     {"function",
                      {{"name", string_field(call, "name")},
                       {"arguments", arguments.is_string() ? arguments.get<std::string>() : arguments.dump()}}}});
  }
  return calls;
}

Json from_sharegpt(const Json& row) {
  const Json& list = field(row, "conversations");
  if (!list.is_array()) throw BadRow{"\"conversations\" is not a list"};
  Json messages = Json::array();
  int n_calls = 0, n_answered = 0;
  for (const Json& turn : list) {
    if (!turn.is_object()) throw BadRow{"\"conversations\" holds something that is not an object"};
    const std::string from = string_field(turn, "from");
    std::string value = string_field(turn, "value");
    if (from == "human" || from == "user") {
      messages.push_back(message("user", std::move(value)));
    } else if (from == "gpt" || from == "assistant") {
      messages.push_back(message("assistant", std::move(value)));
    } else if (from == "system") {
      messages.push_back(message("system", std::move(value)));
    } else if (from == "function_call") {
      messages.push_back(message("assistant", ""));
      messages.back()["tool_calls"] = calls_from_text(value, n_calls);
    } else if (from == "observation" || from == "tool") {
      messages.push_back(message("tool", std::move(value)));
      messages.back()["tool_call_id"] = fmt::format("call_{}", n_answered++);
    } else {
      throw BadRow{fmt::format("\"from\" is \"{}\", known are human, gpt, system, function_call, observation", from)};
    }
  }
  add_system(messages, optional_string(row, "system"), row.contains("tools") ? tool_list(row["tools"]) : Json::array());
  return messages;
}

}  // namespace

const char* row_format_name(RowFormat format) {
  for (const auto& [value, name] : kNames)
    if (value == format) return name;
  return "?";
}

std::optional<RowFormat> parse_row_format(std::string_view wanted) {
  for (const auto& [value, name] : kNames)
    if (name == wanted) return value;
  return std::nullopt;
}

Json parse_row(std::string_view line) {
  if (json_depth(line) > kMaxJsonDepth) throw BadRow{fmt::format("the JSON is nested more than {} deep", kMaxJsonDepth)};
  Json row;
  try {
    row = Json::parse(line);
  } catch (const Json::exception& error) {
    // The library quotes what it read, which may be anything; its byte position is what helps.
    const auto* at = dynamic_cast<const Json::parse_error*>(&error);
    throw BadRow{at ? fmt::format("not valid JSON at byte {}", at->byte) : std::string("not valid JSON")};
  }
  if (!row.is_object()) throw BadRow{fmt::format("the row is {}, an object is needed", row.type_name())};
  return row;
}

RowFormat detect_row_format(const Json& row) {
  const auto has = [&](const char* key) { return row.contains(key); };
  if (has("chosen") || has("rejected")) throw BadRow{"this is preference data (chosen, rejected); supervised stages do not take it"};
  if (has("completion") && has("label")) throw BadRow{"this is KTO data (completion, label); supervised stages do not take it"};
  std::vector<RowFormat> fits;
  if (has("messages")) fits.push_back(RowFormat::kMessages);
  if (has("conversations")) fits.push_back(RowFormat::kShareGpt);
  if (has("instruction")) fits.push_back(RowFormat::kAlpaca);
  if (has("prompt") && has("completion")) fits.push_back(RowFormat::kPromptCompletion);
  if (has("text")) fits.push_back(RowFormat::kText);
  if (fits.size() == 1) return fits[0];
  if (fits.empty())
    throw BadRow{fmt::format("the keys ({}) fit no known format; known: text | messages | prompt + completion | instruction + "
                             "output | conversations", keys_of(row))};
  std::string names;
  for (const RowFormat format : fits) names += (names.empty() ? "" : " and ") + std::string(row_format_name(format));
  throw BadRow{fmt::format("the keys ({}) fit {}; name one with `format` of the source", keys_of(row), names)};
}

TrainingRow convert_row(const Json& row, RowFormat format, const RowOptions& options) {
  TrainingRow out;
  switch (format) {
    case RowFormat::kDocument:
    case RowFormat::kText:
      out.is_text = true;
      out.text = string_field(row, "text");
      if (out.text.find_first_not_of(" \t\r\n") == std::string::npos) throw BadRow{"\"text\" is empty"};
      if (const std::string token = control_token_in(out.text); !token.empty())
        throw BadRow{fmt::format("the text holds the control token {}", token)};
      return out;
    case RowFormat::kMessages: out.messages = from_messages(row); break;
    case RowFormat::kPromptCompletion: out.messages = from_prompt_completion(row); break;
    case RowFormat::kAlpaca: out.messages = from_alpaca(row, options); break;
    case RowFormat::kShareGpt: out.messages = from_sharegpt(row); break;
  }
  normalise_reasoning(out.messages);
  if (options.check) check_messages(out.messages);
  return out;
}

}  // namespace temper
