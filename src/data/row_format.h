#pragma once
// The shapes of training rows people bring, and their conversion to one: a text, or a list of chat messages.

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace temper {

/// kDocument is one piece of a plain-text file; the others are JSONL rows.
enum class RowFormat { kDocument, kText, kMessages, kPromptCompletion, kAlpaca, kShareGpt };

const char* row_format_name(RowFormat format);                     // "messages", as in data.sources[].format
std::optional<RowFormat> parse_row_format(std::string_view name);

/// A row in the one form.  Messages are OpenAI-shaped (role, content, reasoning_content, tool_calls, tool_call_id); tools
/// stand in `tools` of the first message, which is then a system message.  `mask: 1` on an assistant message = not trained.
struct TrainingRow {
  bool is_text = false;
  std::string text;
  Json messages = Json::array();
};

/// A row that cannot be used, and why.  The caller adds the file and line and applies the policy.
struct BadRow {
  std::string reason;
};

struct RowOptions {
  bool mask_history = false;
  bool check = true;   // false: conversations are converted only, for looking at those that training refuses (prompts)
};

/// Parses one line: an object, nested at most 100 deep.  Throws BadRow.
Json parse_row(std::string_view line);

/// What the keys of a row say.  Throws BadRow if they say nothing, two things, or a kind these stages do not train on.
///   text {"text"} | messages {"messages"} | prompt_completion {"prompt", "completion"} | alpaca {"instruction", "output"} |
///   sharegpt {"conversations"}
RowFormat detect_row_format(const Json& row);

/// Converts and validates.  Throws BadRow: a missing or ill-typed field, empty content, an unknown role, roles out of order, a
/// tool result without its call, a call without its result, arguments that are not JSON, duplicate call ids, control tokens
/// of the chat encoding inside a text, nothing to train.
///   alpaca     query = instruction + "\n" + input; `history` pairs come before it
///   sharegpt   human, gpt, observation, function_call, system
///   thinking   `reasoning`, `thinking` and an inline <think>...</think> become `reasoning_content`
TrainingRow convert_row(const Json& row, RowFormat format, const RowOptions& options);

}  // namespace temper
