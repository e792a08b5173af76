#pragma once
// A conversation as data: OpenAI-shaped messages with the keys that DeepSeek-V4's chat format adds.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace temper {

enum class Role { kSystem, kDeveloper, kUser, kAssistant, kTool, kLatestReminder };
const char* role_name(Role role);

/// Short instructions of the format: the answer is a word or a line, asked for by a control token.
enum class ChatTask { kAction, kQuery, kAuthority, kDomain, kTitle, kReadUrl };

struct ToolCall {
  std::string id;         // may be empty
  std::string name;
  std::string arguments;  // JSON text of an object; other text is carried verbatim
};

/// A part of a user turn.
struct ChatBlock {
  bool is_tool_result = false;
  std::string text;
  std::string tool_call_id;  // of a tool result
};

struct ChatMessage {
  Role role = Role::kUser;
  std::string content;                         // of every role but user and tool
  std::vector<ChatBlock> blocks;               // of user and tool
  std::string reasoning_content;               // of an assistant
  std::vector<ToolCall> tool_calls;            // of an assistant
  std::vector<std::string> tools;              // function schemas as JSON text; of system and developer
  std::optional<std::string> response_format;  // a schema as JSON text; of system and developer
  std::optional<ChatTask> task;
  bool wo_eos = false;                         // the answer is not finished: no end token, not trained
  float weight = 1;                            // of an assistant's tokens in the loss; 0 = not trained
};

struct Conversation {
  std::vector<ChatMessage> messages;

  /// Reads a list of messages, or {"messages": [...], "tools": [...]}: such tools hang on the first system message (an empty
  /// one is put in front if there is none).
  ///   content      text, null, or a list of parts; texts are joined by a blank line, other parts become "[Unsupported <type>]"
  ///   tools        OpenAI's {"type": "function", "function": {...}}, or the inner object alone
  ///   tool_calls   OpenAI's shape, or {"name", "arguments"}; arguments as JSON text (integers of any size) or as an object
  ///   weight, loss, train, mask   of an assistant: data/turn_weight.h
  /// Errors: Error{kData} with the message's number for unknown roles and tasks, wrong types, keys in a wrong place, a tool
  /// result whose content is null, a developer message or a reminder without text, and the keys `reasoning` and `thinking` (say reasoning_content).
  static Conversation from_json(const Json& json, const std::string& where);
};

}  // namespace temper
