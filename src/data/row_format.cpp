#include "data/row_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/json_checks.h"
#include "data/message_check.h"
#include "data/python_json.h"
#include "data/reasoning.h"
#include "data/turn_weight.h"
#include "data/turns.h"

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

bool is_true(const Json& row, const char* key) {
  const auto found = row.find(key);
  if (found == row.end() || found->is_null()) return false;
  if (!found->is_boolean() && *found != 0 && *found != 1) throw BadRow{fmt::format("\"{}\" is {}, true or false is needed", key, python_json_text(*found))};
  return *found == true || *found == 1;
}

/// `tools`, or `functions` as OpenAI's files had it before.
Json tools_of(const Json& row) {
  for (const char* key : {"tools", "functions"}) {
    if (!row.contains(key)) continue;
    Json tools = list_or_text_of_list(row[key], key);
    if (!tools.empty()) return tools;
  }
  return Json::array();
}

/// The row's own `system` text and `tools`, in front of its turns.
void add_system(Turns& turns, const Json& row, std::vector<RowNote>& notes) {
  const std::string system = optional_string(row, "system");
  const Json tools = tools_of(row);
  const bool has_system = !turns.empty() && turns[0].message["role"] == "system";
  if (is_blank(system) && !system.empty()) notes.push_back(RowNote::kEmptySystem);
  if (!is_blank(system)) {
    if (has_system) throw BadRow{"there is a system text both next to the messages and in them"};
    turns.insert(turns.begin(), make_turn("system", system, "system"));
  }
  if (tools.empty()) return;
  if (is_blank(system) && !has_system) turns.insert(turns.begin(), make_turn("system", "", "tools"));
  const auto own = turns[0].message.find("tools");
  if (own != turns[0].message.end() && !own->is_null() && !own->empty()) throw BadRow{"there are tools both next to the messages and in the system message"};
  turns[0].message["tools"] = tools;
}

Turns turns_of(const Json& row, const char* key, const std::string& noun) {
  const Json& list = field(row, key);
  return read_turns(list.is_array() ? list : list_or_text_of_list(list, key), noun);
}

Turns side_of(const Json& row, const char* key, const char* role) {
  const Json& value = field(row, key);
  if (value.is_string()) return {make_turn(role, value.get<std::string>(), key)};
  if (!value.is_array()) throw BadRow{fmt::format("\"{}\" is neither a string nor a list of messages", key)};
  return read_turns(value, fmt::format("{}, message", key));
}

/// Only the completion is trained: answers inside the prompt are not.
Turns from_prompt_completion(const Json& row) {
  Turns turns = side_of(row, "prompt", "user");
  for (Turn& turn : turns)
    if (turn.message["role"] == "assistant") set_weight(turn.message, 0);
  for (Turn& turn : side_of(row, "completion", "assistant")) turns.push_back(std::move(turn));
  return turns;
}

Turns from_alpaca(const Json& row) {
  const bool query = !row.contains("instruction") && row.contains("query");
  Turns turns;
  const auto history = row.find("history");
  if (history != row.end() && !history->is_null()) {
    if (!history->is_array()) throw BadRow{"\"history\" is not a list of [question, answer] pairs"};
    for (size_t i = 0; i < history->size(); ++i) {
      const Json& pair = (*history)[i];
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
        throw BadRow{"\"history\" holds something that is not a [question, answer] pair of strings"};
      turns.push_back(make_turn("user", pair[0].get<std::string>(), fmt::format("history {} (question)", i + 1)));
      turns.push_back(make_turn("assistant", pair[1].get<std::string>(), fmt::format("history {} (answer)", i + 1)));
    }
  }
  std::string asked = query ? string_field(row, "query") : optional_string(row, "instruction");
  const std::string input = query ? "" : optional_string(row, "input");
  if (is_blank(asked)) asked = input;
  else if (!is_blank(input)) asked += "\n" + input;
  turns.push_back(make_turn("user", asked, query ? "query" : "instruction"));
  const char* answer = query ? "response" : "output";
  turns.push_back(make_turn("assistant", string_field(row, answer), answer));
  return turns;
}

/// An empty system message is none; one with tools keeps them.
void drop_empty_system(Turns& turns, std::vector<RowNote>& notes) {
  const auto holds = [](const Json& message, const char* key) {
    const auto found = message.find(key);
    return found != message.end() && !found->is_null() && !found->empty();
  };
  bool found = false;
  std::erase_if(turns, [&](Turn& turn) {
    Json& message = turn.message;
    if (message["role"] != "system" || (message.contains("content") && !is_blank(text_of_content(message["content"], turn.where)))) return false;
    const bool needed = holds(message, "tools") || holds(message, "response_format");
    if (!needed || (message.contains("content") && message["content"] != "")) found = true;
    message["content"] = "";
    return !needed;
  });
  if (found && notes.empty()) notes.push_back(RowNote::kEmptySystem);
}

/// Flags of the whole row, and mask_history.
void weigh_answers(Turns& turns, const Json& row, bool mask_history) {
  const WeightFlags flags = weight_flags(row);
  const auto last = std::find_if(turns.rbegin(), turns.rend(), [](const Turn& turn) { return turn.message["role"] == "assistant"; });
  for (Turn& turn : turns) {
    if (turn.message["role"] != "assistant") continue;
    const WeightFlags own = weight_flags(turn.message);
    if (!own.problem.empty()) throw BadRow{fmt::format("{}: {}", turn.where, own.problem)};
    if (flags.weight && own.weight.value_or(1.0f) > 0) set_weight(turn.message, *flags.weight * own.weight.value_or(1.0f));
    if (mask_history && &turn != &*last) set_weight(turn.message, 0);
  }
}

void note_reasoning(const Turns& turns, bool thinking, std::vector<RowNote>& notes) {
  bool some = false, missing = false;
  for (const Turn& turn : turns) {
    if (turn.message["role"] != "assistant") continue;
    const bool has = turn.message.contains("reasoning_content");
    some = some || has;
    missing = missing || (!has && weight_flags(turn.message).weight.value_or(1.0f) > 0);
  }
  if (!thinking && some) notes.push_back(RowNote::kReasoningLeftOut);
  if (thinking && missing) notes.push_back(RowNote::kEmptyReasoning);
}

/// A row-level flag that cannot be used, or that is not read, is as wrong as one in a turn.
void check_row_flags(const Json& row) {
  const WeightFlags flags = weight_flags(row);
  if (!flags.problem.empty()) throw BadRow{flags.problem};
  const Json* loss = row.contains("loss") ? &row["loss"] : nullptr;
  if (loss && loss->is_number() && *loss != 0 && *loss != 1)
    throw BadRow{fmt::format("\"loss\": {} next to the messages: write \"weight\" for a weight of the whole row; rename the key if it is something else", python_json_text(*loss))};
  if (const std::string key = unread_flag_of_row(row); !key.empty())
    throw BadRow{fmt::format("\"{}\" looks like a flag of training, but is not read; use weight, loss, train or mask in the turns (or next to them, for the whole row), or rename it", key)};
}

void refuse_media(const Json& row) {
  for (const char* key : {"images", "image", "videos", "video", "audios", "audio"}) {
    const auto found = row.find(key);
    if (found != row.end() && !found->is_null() && !found->empty() && *found != "") throw BadRow{fmt::format("the row has {}; the model reads text only", key)};
  }
}

Turns turns_of_row(const Json& row, RowFormat format) {
  switch (format) {
    case RowFormat::kMessages: return turns_of(row, "messages", "message");
    case RowFormat::kShareGpt: return turns_of(row, row.contains("conversations") ? "conversations" : "conversation", "turn");
    case RowFormat::kPromptCompletion: return from_prompt_completion(row);
    case RowFormat::kAlpaca: return from_alpaca(row);
    case RowFormat::kDocument:
    case RowFormat::kText: break;
  }
  return {};
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
  JsonFault fault;
  std::optional<Json> row = parse_python_json(line, &fault);
  if (!row && fault.byte > line.size())
    throw BadRow{fmt::format("not valid JSON: the line ends inside it, at byte {} (in JSONL each row is one line; a file with rows over several lines must be one JSON list)", fault.byte)};
  if (!row) throw BadRow{fmt::format("not valid JSON at byte {}{}{}", fault.byte, fault.what.empty() ? "" : ": ", fault.what)};
  if (!row->is_object()) throw BadRow{fmt::format("the row is {}, an object is needed", row->type_name())};
  return std::move(*row);
}

RowFormat detect_row_format(const Json& row) {
  const auto has = [&](const char* key) { return row.contains(key); };
  const auto is_flag = [&](const char* key) { return has(key) && row[key].is_boolean(); };
  for (const char* key : {"chosen", "rejected", "rejected_response", "rejected_messages"})
    if (has(key)) throw BadRow{fmt::format("this is preference data ({}); supervised stages do not take it", key)};
  if ((has("completion") && has("label")) || (is_flag("label") && !has("text")) || is_flag("kto_tag"))
    throw BadRow{"this is KTO data (an answer with a label, true or false); supervised stages do not take it"};
  std::vector<RowFormat> fits;
  if (has("messages")) fits.push_back(RowFormat::kMessages);
  if (has("conversations") || has("conversation")) fits.push_back(RowFormat::kShareGpt);
  if (has("instruction") || (has("query") && has("response"))) fits.push_back(RowFormat::kAlpaca);
  if (has("prompt") && has("completion")) fits.push_back(RowFormat::kPromptCompletion);
  if (has("text")) fits.push_back(RowFormat::kText);
  if (fits.size() == 1) return fits[0];
  if (fits.empty() && (has("role") || has("from")))
    throw BadRow{fmt::format("the row is a single message (keys: {}), a whole conversation is needed: {{\"messages\": [...]}}", keys_of(row))};
  if (fits.empty())
    throw BadRow{fmt::format("the keys ({}) fit no known format; known: text | messages | prompt + completion | instruction + "
                             "output | conversations", keys_of(row))};
  std::string names;
  for (const RowFormat format : fits) names += (names.empty() ? "" : " and ") + std::string(row_format_name(format));
  throw BadRow{fmt::format("the keys ({}) fit {}; name one with `format` of the source", keys_of(row), names)};
}

TrainingRow convert_row(const Json& row, RowFormat format, const RowOptions& options) {
  TrainingRow out;
  check_row_flags(row);
  if (format == RowFormat::kDocument || format == RowFormat::kText) {
    out.is_text = true;
    out.text = string_field(row, "text");
    out.text_weight = weight_flags(row).weight.value_or(1.0f);
    if (is_blank(out.text)) throw BadRow{"\"text\" is empty"};
    if (const std::string token = control_token_in(out.text); !token.empty())
      throw BadRow{fmt::format("the text holds the control token {}", token)};
    return out;
  }
  refuse_media(row);
  Turns turns = turns_of_row(row, format);
  add_system(turns, row, out.notes);
  drop_empty_system(turns, out.notes);
  bool tag_left = false, flagged = false;
  for (Turn& turn : turns) {
    if (turn.message["role"] == "assistant") tag_left = normalise_reasoning(turn.message, turn.where) || tag_left;
    else flagged = flagged || weight_flags(turn.message).weight.value_or(0.0f) > 0;
  }
  if (tag_left) out.notes.push_back(RowNote::kThinkTagInAnswer);
  if (flagged) out.notes.push_back(RowNote::kFlagNotOnAnswer);
  weigh_answers(turns, row, options.mask_history || is_true(row, "mask_history"));
  try {
    check_turns(turns);
  } catch (const BadRow& bad) {
    if (options.check) throw;
    out.refused = bad.reason;
  }
  note_reasoning(turns, options.thinking, out.notes);
  for (Turn& turn : turns) {
    if (turn.message["role"] != "assistant")
      for (const char* flag : {"weight", "loss", "train", "mask"}) turn.message.erase(flag);
    out.messages.push_back(std::move(turn.message));
    out.origins.push_back(std::move(turn.where));
  }
  return out;
}

}  // namespace temper
