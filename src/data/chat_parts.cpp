#include "data/chat_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "data/chat_release.h"
#include "data/chat_texts.h"
#include "data/chat_tokens.h"
#include "data/python_json.h"

namespace temper::detail {
namespace {

using Messages = std::vector<ChatMessage>;
using Kind = ChatPart::Kind;

bool asks(const ChatMessage& message) { return message.role == Role::kUser || message.role == Role::kDeveloper; }

/// Index of the last user or developer message, -1 if there is none.
int64_t last_user_index(const Messages& messages) {
  for (auto i = static_cast<int64_t>(messages.size()) - 1; i >= 0; --i) {
    if (asks(messages[static_cast<size_t>(i)])) return i;
  }
  return -1;
}

/// Tool messages become blocks of user turns; user messages in a row become one, unless the first has a task.
Messages merge_turns(const Messages& messages) {
  Messages merged;
  for (const ChatMessage& message : messages) {
    const bool tool = message.role == Role::kTool;
    if (tool || message.role == Role::kUser) {
      const bool joins = !merged.empty() && merged.back().role == Role::kUser && (tool || !merged.back().task);
      if (joins) {
        merged.back().blocks.insert(merged.back().blocks.end(), message.blocks.begin(), message.blocks.end());
        continue;
      }
    }
    merged.push_back(message);
    if (tool) {
      merged.back() = ChatMessage{};
      merged.back().blocks = message.blocks;
    }
  }
  return merged;
}

/// Puts the tool results of each user turn into the order of the last assistant's calls; text blocks keep their places.
void sort_tool_results(Messages& messages) {
  std::unordered_map<std::string, size_t> id2position;
  for (ChatMessage& message : messages) {
    if (message.role == Role::kAssistant && !message.tool_calls.empty()) {
      id2position.clear();
      for (size_t i = 0; i < message.tool_calls.size(); ++i) {
        if (!message.tool_calls[i].id.empty()) id2position[message.tool_calls[i].id] = i;
      }
    }
    if (message.role != Role::kUser || id2position.empty()) continue;
    std::vector<ChatBlock> results;
    for (const ChatBlock& block : message.blocks) {
      if (block.is_tool_result) results.push_back(block);
    }
    const auto position = [&](const ChatBlock& block) {
      const auto found = id2position.find(block.tool_call_id);
      return found == id2position.end() ? size_t{0} : found->second;
    };
    std::stable_sort(results.begin(), results.end(), [&](const ChatBlock& a, const ChatBlock& b) { return position(a) < position(b); });
    size_t next = 0;
    for (ChatBlock& block : message.blocks) {
      if (block.is_tool_result) block = results[next++];
    }
  }
}

/// Before the last user turn: assistants lose their reasoning, developer messages vanish.
Messages without_earlier_thinking(const Messages& messages) {
  const int64_t last_user = last_user_index(messages);
  Messages kept;
  for (size_t i = 0; i < messages.size(); ++i) {
    const bool earlier = static_cast<int64_t>(i) < last_user;
    if (earlier && messages[i].role == Role::kDeveloper) continue;
    kept.push_back(messages[i]);
    if (earlier) kept.back().reasoning_content.clear();
  }
  return kept;
}

std::string_view task_token(ChatTask task) {
  switch (task) {
    case ChatTask::kAction: return chat::kAction;
    case ChatTask::kQuery: return chat::kQuery;
    case ChatTask::kAuthority: return chat::kAuthority;
    case ChatTask::kDomain: return chat::kDomain;
    case ChatTask::kTitle: return chat::kTitle;
    case ChatTask::kReadUrl: return chat::kReadUrl;
  }
  return chat::kAction;
}

/// Writes the parts of one conversation.
class Renderer {
 public:
  Renderer(const Messages& messages, const ChatOptions& options, bool dropping)
      : messages_(messages), options_(options), thinking_(options.thinking_mode == "thinking"), dropping_(dropping), last_user_(last_user_index(messages)) {}

  void add_bos() { control(chat::kBos); }

  void add_message(size_t index) {
    const ChatMessage& message = messages_[index];
    weight_ = 0;
    if (index == 0 && thinking_) written(effort_text(options_.release, options_.effort));
    switch (message.role) {
      case Role::kDeveloper:
        control(chat::kUser);
        [[fallthrough]];
      case Role::kSystem:
        ordinary(message.content);
        add_schemas(message);
        break;
      case Role::kUser: add_user(message); break;
      case Role::kLatestReminder:
        control(chat::kLatestReminder);
        ordinary(message.content);
        break;
      case Role::kAssistant: add_assistant(message, index); break;
      case Role::kTool: break;  // merge_turns leaves none
    }
    weight_ = 0;
    const bool last = index + 1 == messages_.size();
    if (last || messages_[index + 1].role == Role::kAssistant || messages_[index + 1].role == Role::kLatestReminder) add_transition(message, index);
  }

  std::vector<ChatPart> take() { return std::move(parts_); }

 private:
  void control(std::string_view token) { parts_.push_back({Kind::kControl, std::string(token), weight_}); }
  void written(std::string_view text) { parts_.push_back({Kind::kTemplate, std::string(text), weight_}); }
  void ordinary(std::string_view text) { parts_.push_back({Kind::kOrdinary, std::string(text), weight_}); }

  void add_schemas(const ChatMessage& message) {
    if (!message.tools.empty()) {
      written("\n\n");
      written(chat::kToolsBegin);
      for (size_t i = 0; i < message.tools.size(); ++i) {
        if (i > 0) written("\n");
        ordinary(message.tools[i]);
      }
      written(chat::kToolsEnd);
    }
    if (message.response_format) {
      written("\n\n");
      written(chat::kResponseFormat);
      ordinary(*message.response_format);
    }
  }

  void add_user(const ChatMessage& message) {
    control(chat::kUser);
    for (size_t i = 0; i < message.blocks.size(); ++i) {
      const ChatBlock& block = message.blocks[i];
      if (i > 0) written("\n\n");
      if (block.is_tool_result) written(chat::kToolResult);
      ordinary(block.text);
      if (block.is_tool_result) written(chat::kEndToolResult);
    }
  }

  void add_assistant(const ChatMessage& message, size_t index) {
    const bool rewritten = dropping_ && static_cast<int64_t>(index) < last_user_;  // was written with reasoning, stands without
    weight_ = message.wo_eos || rewritten ? 0 : message.weight;
    const bool answers_task = index > 0 && messages_[index - 1].task.has_value();
    if (thinking_ && !answers_task && (!dropping_ || static_cast<int64_t>(index) > last_user_)) {
      ordinary(message.reasoning_content);
      control(chat::kEndThink);
    }
    ordinary(message.content);
    if (!message.tool_calls.empty()) add_tool_calls(message.tool_calls);
    if (!message.wo_eos) control(chat::kEos);
  }

  void add_tool_calls(const std::vector<ToolCall>& calls) {
    written(chat::kDsmlCalls);
    written(">\n");
    for (size_t i = 0; i < calls.size(); ++i) {
      if (i > 0) written("\n");
      written(chat::kDsmlInvoke);
      written(" name=\"");
      ordinary(calls[i].name);
      written("\">\n");
      add_arguments(calls[i].arguments);
      written("\n");
      written(chat::kDsmlEndInvoke);
      written(">");
    }
    written("\n");
    written(chat::kDsmlEndCalls);
  }

  void add_arguments(const std::string& text) {
    const std::optional<Json> arguments = parse_python_json(text);
    if (!arguments || !arguments->is_object()) {
      add_parameter("arguments", true, text);
      return;
    }
    bool first = true;
    for (const auto& [key, value] : arguments->items()) {
      if (!first) written("\n");
      first = false;
      add_parameter(key, value.is_string(), value.is_string() ? value.get<std::string>() : python_json_text(value));
    }
  }

  void add_parameter(const std::string& name, bool is_string, const std::string& value) {
    written(chat::kDsmlParameter);
    written(" name=\"");
    ordinary(name);
    written(is_string ? "\" string=\"true\">" : "\" string=\"false\">");
    ordinary(value);
    written("<");
    written(chat::kDsmlEndParameter);
    written(">");
  }

  /// What leads over to the answer.
  void add_transition(const ChatMessage& message, size_t index) {
    if (message.task) {
      if (*message.task == ChatTask::kAction) {
        control(chat::kAssistant);
        control(thinking_ ? chat::kThink : chat::kEndThink);
      }
      control(task_token(*message.task));
    } else if (asks(message)) {
      control(chat::kAssistant);
      control(thinking_ && (!dropping_ || static_cast<int64_t>(index) >= last_user_) ? chat::kThink : chat::kEndThink);
    }
  }

  const Messages& messages_;
  const ChatOptions& options_;
  const bool thinking_, dropping_;
  const int64_t last_user_;
  float weight_ = 0;
  std::vector<ChatPart> parts_;
};

}  // namespace

Messages merged_messages(const Messages& messages) {
  Messages merged = merge_turns(messages);
  sort_tool_results(merged);
  return merged;
}

bool drops_thinking(const Messages& messages, const ChatOptions& options) {
  const bool tools = std::any_of(messages.begin(), messages.end(), [](const ChatMessage& m) { return !m.tools.empty(); });
  return options.drop_thinking && !tools;
}

std::vector<ChatPart> chat_parts(const Conversation& conversation, const ChatOptions& options, const Conversation& context) {
  Messages before = merge_turns(context.messages);
  Messages all = before;
  const Messages fresh = merge_turns(conversation.messages);
  all.insert(all.end(), fresh.begin(), fresh.end());
  sort_tool_results(all);
  const bool dropping = options.thinking_mode == "thinking" && drops_thinking(all, options);
  size_t n_before = before.size();
  if (dropping) {
    all = without_earlier_thinking(all);
    n_before = without_earlier_thinking(before).size();
  }
  Renderer renderer(all, options, dropping);
  if (options.add_bos && context.messages.empty()) renderer.add_bos();
  for (size_t i = n_before; i < all.size(); ++i) renderer.add_message(i);
  return renderer.take();
}

}  // namespace temper::detail
