#include "data/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/python_json.h"
#include "data/turn_weight.h"

namespace temper {
namespace {

template <class Enum>
struct Named {
  std::string_view name;
  Enum value;
};
constexpr std::array<Named<Role>, 6> kRoles{{{"system", Role::kSystem}, {"developer", Role::kDeveloper}, {"user", Role::kUser},
                                             {"assistant", Role::kAssistant}, {"tool", Role::kTool}, {"latest_reminder", Role::kLatestReminder}}};
constexpr std::array<Named<ChatTask>, 6> kTasks{{{"action", ChatTask::kAction}, {"query", ChatTask::kQuery}, {"authority", ChatTask::kAuthority},
                                                 {"domain", ChatTask::kDomain}, {"title", ChatTask::kTitle}, {"read_url", ChatTask::kReadUrl}}};

/// Reads one message; knows where it is for its errors.
class MessageReader {
 public:
  MessageReader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  ChatMessage read() {
    if (!json_.is_object()) fail("a message must be an object", "write {\"role\": ..., \"content\": ...}");
    ChatMessage message;
    message.role = named(kRoles, text_of(json_member(json_, "role", where_), "role"), "role");
    if (const Json* task = member("task")) message.task = named(kTasks, text_of(*task, "task"), "task");
    message.wo_eos = flag("wo_eos");
    read_content(message);
    read_weight(message);
    reject_misplaced(message.role);
    if (message.role == Role::kAssistant) {
      if (const Json* reasoning = member("reasoning_content")) message.reasoning_content = text_of(*reasoning, "reasoning_content");
      read_tool_calls(message);
    }
    if (const Json* tools = member("tools")) message.tools = read_tools(*tools);
    if (const Json* format = member("response_format")) {
      if (!is_empty(*format)) message.response_format = python_json_text(*format);
    }
    return message;
  }

  std::vector<std::string> read_tools(const Json& tools) const {
    if (!tools.is_array()) fail("\"tools\" must be a list", "write OpenAI's list of {\"type\": \"function\", \"function\": {...}}");
    std::vector<std::string> schemas;
    for (const Json& tool : tools) {
      const bool wrapped = tool.is_object() && tool.contains("function") && tool["function"].is_object();
      const bool bare = tool.is_object() && tool.contains("name");
      if (!wrapped && !bare) fail("a tool has neither \"function\" nor \"name\"", "write OpenAI's {\"type\": \"function\", \"function\": {...}}");
      schemas.push_back(python_json_text(wrapped ? tool["function"] : tool));
    }
    return schemas;
  }

 private:
  [[noreturn]] void fail(std::string what, std::string fix) const {
    throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = where_, .fix = std::move(fix)});
  }

  /// null counts as absent.
  const Json* member(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  /// What Python takes as false: such a key is as good as absent.
  static bool is_empty(const Json& value) {
    return value.is_null() || value == false || value == 0 || value == "" || ((value.is_array() || value.is_object()) && value.empty());
  }
  bool flag(const char* key) const {
    const Json* value = member(key);
    if (!value) return false;
    if (value->is_boolean()) return value->get<bool>();
    if (value->is_number_integer()) return *value != 0;
    fail(fmt::format("\"{}\" must be true or false", key), "write true or false");
  }
  std::string text_of(const Json& value, const char* key) const {
    if (!value.is_string()) fail(fmt::format("\"{}\" must be a string, found {}", key, value.type_name()), "put it in quotes");
    return value.get<std::string>();
  }
  template <class Enum, size_t N>
  Enum named(const std::array<Named<Enum>, N>& names, const std::string& name, const char* key) const {
    std::string known;
    for (const Named<Enum>& one : names) {
      if (one.name == name) return one.value;
      known += (known.empty() ? "" : ", ") + std::string(one.name);
    }
    fail(fmt::format("unknown {} {:?}", key, name), fmt::format("known: {}", known));
  }

  std::string content_text(const Json& content) const {
    if (content.is_string()) return content.get<std::string>();
    if (!content.is_array()) fail(fmt::format("\"content\" must be text or a list of parts, found {}", content.type_name()), "write the text in quotes");
    std::string joined;
    for (size_t i = 0; i < content.size(); ++i) {
      if (i > 0) joined += "\n\n";
      const Json& part = content[i];
      const std::string type = part.is_object() && part.contains("type") && part["type"].is_string() ? part["type"].get<std::string>() : "";
      if (part.is_string()) joined += part.get<std::string>();
      else if (type == "text") joined += text_of(json_member(part, "text", where_), "text");
      else joined += fmt::format("[Unsupported {}]", type);
    }
    return joined;
  }

  void read_content(ChatMessage& message) const {
    const Json* content = member("content");
    std::string text = content ? content_text(*content) : "";
    if (message.role == Role::kTool) {
      if (json_.contains("content") && !content) fail("a tool result has the content null", "give it a text; an empty one is \"\"");
      const Json* id = member("tool_call_id");
      message.blocks.push_back({true, std::move(text), id ? text_of(*id, "tool_call_id") : ""});
    } else if (message.role == Role::kUser) {
      message.blocks.push_back({false, std::move(text), ""});
    } else {
      if (message.role == Role::kDeveloper && text.empty()) fail("a developer message has no content", "give it a text, or leave it out");
      if (message.role == Role::kLatestReminder && !content) fail("a latest_reminder has no content", "give it a text, or leave it out");
      message.content = std::move(text);
    }
  }

  void read_weight(ChatMessage& message) const {
    const WeightFlags flags = weight_flags(json_);
    if (!flags.problem.empty()) fail(flags.problem, "0 or false means not trained, 1 or true is usual");
    message.weight = flags.weight.value_or(1.0f);
  }

  void reject_misplaced(Role role) const {
    for (const char* key : {"reasoning", "thinking", "reasoning_text"}) {
      if (const Json* value = member(key); value && !is_empty(*value)) fail(fmt::format("the key {:?} is not part of the format, its text would be lost", key), "say reasoning_content");
    }
    const bool assistant = role == Role::kAssistant, system = role == Role::kSystem || role == Role::kDeveloper;
    struct Place {
      const char* key;
      bool allowed;
      const char* roles;
    };
    for (const Place& place : {Place{"reasoning_content", assistant, "an assistant"}, Place{"tool_calls", assistant, "an assistant"},
                               Place{"tools", system, "a system or developer"}, Place{"response_format", system, "a system or developer"}}) {
      const Json* value = member(place.key);
      if (value && !is_empty(*value) && !place.allowed) fail(fmt::format("{:?} on a message of role {}", place.key, role_name(role)), fmt::format("put it on {} message", place.roles));
    }
  }

  void read_tool_calls(ChatMessage& message) const {
    const Json* calls = member("tool_calls");
    if (!calls) return;
    if (!calls->is_array()) fail("\"tool_calls\" must be a list", "write OpenAI's list of calls");
    for (const Json& call : *calls) {
      const bool wrapped = call.is_object() && call.contains("function");
      const Json& function = wrapped ? call["function"] : call;
      ToolCall read;
      read.name = text_of(json_member(function, "name", where_), "name");
      const Json& arguments = json_member(function, "arguments", where_);
      read.arguments = arguments.is_string() ? arguments.get<std::string>() : python_json_text(arguments);
      for (const Json* holder : {&call, &function}) {
        if (read.id.empty() && holder->contains("id") && (*holder)["id"].is_string()) read.id = (*holder)["id"].get<std::string>();
      }
      message.tool_calls.push_back(std::move(read));
    }
  }

  const Json& json_;
  std::string where_;
};

}  // namespace

const char* role_name(Role role) {
  for (const Named<Role>& one : kRoles) {
    if (one.value == role) return one.name.data();
  }
  return "unknown";
}

Conversation Conversation::from_json(const Json& json, const std::string& where) {
  const Json& messages = json.is_object() ? json_member(json, "messages", where) : json;
  if (!messages.is_array()) {
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("\"messages\" must be a list, found {}", messages.type_name()), .where = where, .fix = "write [{\"role\": ..., \"content\": ...}, ...]"});
  }
  Conversation conversation;
  for (size_t i = 0; i < messages.size(); ++i) conversation.messages.push_back(MessageReader(messages[i], fmt::format("{}, message {}", where, i + 1)).read());
  if (json.is_object() && json.contains("tools") && !json["tools"].is_null()) {
    std::vector<std::string> tools = MessageReader(json, where).read_tools(json["tools"]);
    auto& all = conversation.messages;
    auto holder = std::find_if(all.begin(), all.end(), [](const ChatMessage& m) { return m.role == Role::kSystem; });
    if (!tools.empty() && holder == all.end()) {
      holder = all.insert(all.begin(), ChatMessage{});
      holder->role = Role::kSystem;
    }
    if (!tools.empty() && !holder->tools.empty()) {
      throw Error({.kind = ErrorKind::kData, .what = "tools stand both beside the messages and on the system message", .where = where, .fix = "keep one of the two lists"});
    }
    if (!tools.empty()) holder->tools = std::move(tools);
  }
  return conversation;
}

}  // namespace temper
