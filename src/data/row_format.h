#pragma once
// The shapes of training rows people bring, and their conversion to one: a text, or a list of chat messages.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace temper {

/// kDocument is one piece of a plain-text file; the others are JSONL rows.
enum class RowFormat { kDocument, kText, kMessages, kPromptCompletion, kAlpaca, kShareGpt };

const char* row_format_name(RowFormat format);                     // "messages", as in data.sources[].format
std::optional<RowFormat> parse_row_format(std::string_view name);

/// Something in a usable row that its author may not expect to be left out, or to be there.  Counted and reported as a warning.
enum class RowNote {
  kReasoningLeftOut,   // thinking_mode is "chat"
  kEmptyReasoning,     // thinking_mode is "thinking", and an answer has none
  kEmptySystem,        // read as no system message
  kFlagNotOnAnswer,    // a turn of another role is marked to be trained
  kThinkTagInAnswer,   // kept as text
};
constexpr int kNumRowNotes = 5;
const char* row_note_name(RowNote note);   // "reasoning_left_out"
/// The warning about so many rows, with the way out.
std::string row_note_text(RowNote note, int64_t n_rows);

/// A row in the one form.  Messages are OpenAI-shaped (role, content, reasoning_content, tool_calls, tool_call_id, weight); tools
/// are stored in `tools` of the first message, which is then a system message.
struct TrainingRow {
  bool is_text = false;
  std::string text;
  float text_weight = 1;
  Json messages = Json::array();
  std::vector<std::string> origins;   // of each message, its place in the row: "turn 3 (function_call)"
  std::vector<RowNote> notes;
  std::string refused;                // empty, or why training refuses it
};

/// A row that cannot be used, and why.  The caller adds the file and line and applies the policy.
struct BadRow {
  std::string reason;
};

struct RowOptions {
  bool mask_history = false;
  bool check = true;      // false: a conversation that training refuses (a prompt) is converted, with the reason in `refused`
  bool thinking = false;  // the chat encoding's mode, for the notes about reasoning
};

/// Parses one line: an object.  Numbers are kept as Python keeps them (python_json.h).  Throws BadRow.
Json parse_row(std::string_view line);

/// What the keys of a row say.  Throws BadRow if they say nothing, two things, or a kind these stages do not train on.
///   text {"text"} | messages {"messages"} | prompt_completion {"prompt", "completion"} | alpaca {"instruction", "output"} or
///   {"query", "response"} | sharegpt {"conversations"} or {"conversation"}
RowFormat detect_row_format(const Json& row);

/// Converts and validates.  Throws BadRow: a missing or ill-typed field, empty content, an unknown role, roles out of order, a
/// tool result without its call, a call without its result, arguments that are not JSON, duplicate call ids, control tokens
/// of the chat encoding inside a text, flags of training that contradict each other or are not read, images, nothing to train.
///   alpaca     query = instruction and input, those that are not empty, joined by a line break; `history` pairs come before it
///   turns      data/turns.h; reasoning: data/reasoning.h; flags of training: data/turn_weight.h, in a turn or for the whole row
///   mask_history (an option, or true in a row): only the last answer is trained
TrainingRow convert_row(const Json& row, RowFormat format, const RowOptions& options);

}  // namespace temper
