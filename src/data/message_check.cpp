#include "data/message_check.h"

#include <fmt/format.h>

#include <set>

#include "base/json_checks.h"
#include "data/row_format.h"

namespace temper {
namespace {

constexpr std::string_view kBar = "\xef\xbd\x9c";   // U+FF5C, the bar of the control tokens

std::string at(size_t i, const std::string& role) { return fmt::format("message {} ({})", i + 1, role); }

std::string string_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Text of `content`: a string, null or absent, or a list of parts as in OpenAI's shape.
std::string content_text(const Json& message, const std::string& where) {
  const auto found = message.find("content");
  if (found == message.end() || found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) throw BadRow{fmt::format("{}: content is {}, a string is needed", where, found->type_name())};
  std::string text;
  for (const Json& part : *found) {
    if (!part.is_object() || part.value("type", Json()) != "text" || !part.contains("text") || !part["text"].is_string())
      throw BadRow{fmt::format("{}: content holds a part that is not text", where)};
    text += part["text"].get<std::string>();
  }
  return text;
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

/// Walks the messages once and remembers which tool calls are open.
class Checker {
 public:
  void check(const Json& messages) {
    if (messages.empty()) throw BadRow{"the list of messages is empty"};
    for (const Json& message : messages) {
      if (!message.is_object()) throw BadRow{fmt::format("message {} is not an object", index_ + 1)};
      one(message);
      ++index_;
    }
    if (!open_calls_.empty() && previous_ != "assistant") throw BadRow{fmt::format("the call {} has no result", *open_calls_.begin())};
    if (n_trained_ == 0) throw BadRow{"there is no assistant message to train on"};
  }

 private:
  void one(const Json& message) {
    const auto found = message.find("role");
    if (found == message.end() || !found->is_string()) throw BadRow{fmt::format("message {} has no role", index_ + 1)};
    const std::string role = found->get<std::string>();
    const std::string where = at(index_, role);
    const std::string content = content_text(message, where);
    for (const std::string& text : {content, string_of(message, "reasoning_content")})
      if (const std::string token = control_token_in(text); !token.empty())
        throw BadRow{fmt::format("{} holds the control token {}", where, token)};
    if (role == "system") system(message, content, where);
    else if (role == "user" || role == "developer") user(content, where);
    else if (role == "assistant") assistant(message, content, where);
    else if (role == "tool") tool(message, where);
    else if (role != "latest_reminder")
      throw BadRow{fmt::format("{}: the role is unknown; known: system, developer, user, assistant, tool, latest_reminder", where)};
    previous_ = role;
  }

  void system(const Json& message, const std::string& content, const std::string& where) {
    if (index_ != 0) throw BadRow{fmt::format("{}: a system message must be the first", where)};
    if (is_blank(content) && !message.contains("tools")) throw BadRow{fmt::format("{} is empty", where)};
  }

  void user(const std::string& content, const std::string& where) {
    if (is_blank(content)) throw BadRow{fmt::format("{} is empty", where)};
    if (!open_calls_.empty()) throw BadRow{fmt::format("{}: the call {} has no result", where, *open_calls_.begin())};
  }

  void assistant(const Json& message, const std::string& content, const std::string& where) {
    if (previous_.empty() || previous_ == "system") throw BadRow{fmt::format("{}: nobody asked before it", where)};
    if (previous_ == "assistant") throw BadRow{fmt::format("{} follows an assistant message", where)};
    if (!open_calls_.empty()) throw BadRow{fmt::format("{}: the call {} has no result", where, *open_calls_.begin())};
    const auto calls = message.find("tool_calls");
    const bool has_calls = calls != message.end() && !calls->is_null() && !calls->empty();
    if (is_blank(content) && !has_calls) throw BadRow{fmt::format("{} is empty", where)};
    if (content.find("<think>") != std::string::npos || content.find("</think>") != std::string::npos)
      throw BadRow{fmt::format("{} has a think mark that is not one <think>...</think> at its start", where)};
    if (has_calls) add_calls(*calls, where);
    const auto mask = message.find("mask");
    if (mask == message.end() || *mask == 0 || *mask == false) ++n_trained_;
  }

  void add_calls(const Json& calls, const std::string& where) {
    if (!calls.is_array()) throw BadRow{fmt::format("{}: tool_calls is not a list", where)};
    for (const Json& call : calls) {
      const Json function = call.is_object() ? call.value("function", Json()) : Json();
      if (!function.is_object() || string_of(function, "name").empty())
        throw BadRow{fmt::format("{}: a tool call has no function with a name", where)};
      const auto arguments = function.find("arguments");
      if (arguments != function.end() && arguments->is_string() && !try_parse_json(arguments->get<std::string>()))
        throw BadRow{fmt::format("{}: the arguments of {} are not JSON", where, string_of(function, "name"))};
      const std::string id = string_of(call, "id");
      if (id.empty()) {
        ++n_anonymous_calls_;
        continue;
      }
      if (!open_calls_.insert(id).second) throw BadRow{fmt::format("{}: the call id {} occurs twice", where, id)};
    }
  }

  void tool(const Json& message, const std::string& where) {
    const std::string id = string_of(message, "tool_call_id");
    if (!id.empty() && open_calls_.erase(id) > 0) return;
    if (id.empty() && n_anonymous_calls_ > 0) {
      --n_anonymous_calls_;
      return;
    }
    if (id.empty() && !open_calls_.empty()) {
      open_calls_.erase(open_calls_.begin());
      return;
    }
    throw BadRow{fmt::format("{}: a tool result without its call", where)};
  }

  size_t index_ = 0;
  std::string previous_;
  std::set<std::string> open_calls_;
  int n_anonymous_calls_ = 0, n_trained_ = 0;
};

}  // namespace

std::string control_token_in(std::string_view text) {
  const std::string open = "<" + std::string(kBar), close = std::string(kBar) + ">";
  for (size_t i = text.find(kBar); i != std::string_view::npos; i = text.find(kBar, i + 1)) {
    const bool opened = i > 0 && text[i - 1] == '<';
    const std::string_view rest = text.substr(i);
    if (rest.starts_with(std::string(kBar) + "DSML" + std::string(kBar))) return std::string(kBar) + "DSML" + std::string(kBar);
    if (!opened) continue;
    const size_t end = rest.find(close, kBar.size());
    if (end != std::string_view::npos && end < 64) return "<" + std::string(rest.substr(0, end + close.size()));
  }
  return "";
}

void normalise_reasoning(Json& messages) {
  for (Json& message : messages) {
    if (!message.is_object() || message.value("role", Json()) != "assistant") continue;
    for (const char* key : {"reasoning", "thinking"}) {
      const auto found = message.find(key);
      if (found == message.end()) continue;
      if (found->is_string() && string_of(message, "reasoning_content").empty()) message["reasoning_content"] = found->get<std::string>();
      message.erase(key);
    }
    const std::string content = string_of(message, "content");
    constexpr std::string_view kOpen = "<think>", kClose = "</think>";
    const size_t close = content.find(kClose);
    if (!content.starts_with(kOpen) || close == std::string::npos || !string_of(message, "reasoning_content").empty()) continue;
    message["reasoning_content"] = content.substr(kOpen.size(), close - kOpen.size());
    const size_t rest = content.find_first_not_of('\n', close + kClose.size());
    message["content"] = rest == std::string::npos ? "" : content.substr(rest);
  }
}

void check_messages(const Json& messages) { Checker().check(messages); }

}  // namespace temper
