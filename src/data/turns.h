#pragma once
// Lists of turns in the spellings of several programs -> OpenAI-shaped messages.

#include <string>
#include <vector>

#include "base/json.h"

namespace temper {

/// A message, and the place in the row that it was read from: "message 3 (tool_response)".
struct Turn {
  Json message;
  std::string where;
  bool answers_all_calls = false;   // a tool result without an id, the only one behind several calls
};
using Turns = std::vector<Turn>;

Turn make_turn(const char* role, std::string content, std::string where);

/// Reads a list of turns; `noun` names one in messages to the user ("message", "turn").
///   role, content    or `from`, `value` (ShareGPT)
///   user             human; assistant: gpt, bot, model; tool: observation, tool_response, function, ipython
///   calls            `tool_calls`, the older `function_call`, or a turn function_call or tool_call whose text is {"name", "arguments"} or a list
///                    of those, after an optional <think>...</think>; such turns in a row, also behind an assistant's text, are one message
///   results          without an id belong to the calls in their order (by `name` where given).  If one result follows several calls, a JSON list as
///                    long as the calls is one result for each; any other text answers them all
///   pairs            {"human": ..., "assistant": ...}, two turns in one object
/// Throws BadRow.
Turns read_turns(const Json& list, const std::string& noun);

/// A list, or a string that holds one as JSON: how tables without nested columns store tools.  Throws BadRow.
Json list_or_text_of_list(const Json& value, const char* key);

}  // namespace temper
