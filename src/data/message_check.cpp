#include "data/message_check.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "data/python_json.h"
#include "data/reasoning.h"
#include "data/row_format.h"
#include "data/turn_weight.h"

namespace temper {
namespace {

constexpr std::string_view kBar = "\xef\xbd\x9c";   // U+FF5C, the bar of the control tokens

std::string string_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Walks the turns once and remembers which tool calls are open.
class Checker {
 public:
  void check(const Turns& turns) {
    if (turns.empty()) throw BadRow{"the list of messages is empty"};
    for (const Turn& turn : turns) {
      one(turn);
      first_ = false;
    }
    if (!open_calls_.empty() && previous_ != "assistant") throw BadRow{fmt::format("the call {} has no result", open_call())};
    if (n_answers_ == 0) throw BadRow{"there is no assistant message to train on"};
    if (n_trained_ == 0) throw BadRow{"no assistant message is trained: all are marked so (weight, loss, train, mask)"};
  }

 private:
  void one(const Turn& turn) {
    const Json& message = turn.message;
    const std::string& where = turn.where;
    const std::string role = message["role"].get<std::string>();
    const WeightFlags flags = weight_flags(message);
    if (!flags.problem.empty()) throw BadRow{fmt::format("{}: {}", where, flags.problem)};
    const std::string content = message.contains("content") ? text_of_content(message["content"], where) : "";
    for (const std::string& text : {content, string_of(message, "reasoning_content")})
      if (const std::string token = control_token_in(text); !token.empty())
        throw BadRow{fmt::format("{} holds the control token {}", where, token)};
    if (role == "system") system(message, content, where);
    else if (role == "user" || role == "developer") user(content, where);
    else if (role == "assistant") assistant(message, content, flags.weight.value_or(1.0f), where);
    else if (role == "tool") tool(turn);
    previous_ = role;
  }

  void system(const Json& message, const std::string& content, const std::string& where) {
    if (!first_) throw BadRow{fmt::format("{}: a system message must be the first", where)};
    if (is_blank(content) && !message.contains("tools") && !message.contains("response_format")) throw BadRow{fmt::format("{} is empty", where)};
  }

  void user(const std::string& content, const std::string& where) {
    if (is_blank(content)) throw BadRow{fmt::format("{} is empty", where)};
    if (!open_calls_.empty()) throw BadRow{fmt::format("{}: the call {} has no result", where, open_call())};
  }

  void assistant(const Json& message, const std::string& content, float weight, const std::string& where) {
    if (previous_.empty() || previous_ == "system") throw BadRow{fmt::format("{}: nobody asked before it", where)};
    if (!open_calls_.empty()) throw BadRow{fmt::format("{}: the call {} has no result", where, open_call())};
    if (previous_ == "assistant") throw BadRow{fmt::format("{} follows an assistant message", where)};
    const auto calls = message.find("tool_calls");
    const bool has_calls = calls != message.end() && !calls->is_null() && !calls->empty();
    if (is_blank(content) && !has_calls) throw BadRow{fmt::format("{} is empty", where)};
    if (has_calls) add_calls(*calls, where);
    ++n_answers_;
    n_trained_ += weight > 0;
  }

  void add_calls(const Json& calls, const std::string& where) {
    for (const Json& call : calls) {
      const std::string name = string_of(call["function"], "name"), arguments = string_of(call["function"], "arguments"), id = string_of(call, "id");
      const std::optional<Json> parsed = parse_python_json(arguments);
      if (!parsed || !parsed->is_object()) throw BadRow{fmt::format("{}: the arguments of {} are not JSON{} (without any, write {{}})", where, name, parsed ? " of an object" : "")};
      for (const std::string& text : {name, arguments})
        if (const std::string token = control_token_in(text); !token.empty()) throw BadRow{fmt::format("{}: a call holds the control token {}", where, token)};
      if (!open_calls_.emplace(id, name).second) throw BadRow{fmt::format("{}: the call id {} occurs twice", where, id)};
    }
  }

  void tool(const Turn& turn) {
    if (open_calls_.erase(string_of(turn.message, "tool_call_id")) == 0) throw BadRow{fmt::format("{}: a tool result without its call", turn.where)};
    if (turn.answers_all_calls) open_calls_.clear();
  }

  /// For messages: ids that the reader made say nothing to the user.
  std::string open_call() const {
    const auto& [id, name] = *open_calls_.begin();
    return id.starts_with('#') ? fmt::format("of {}", name) : id;
  }

  bool first_ = true;
  std::string previous_;
  std::map<std::string, std::string> open_calls_;   // id -> name
  int n_answers_ = 0, n_trained_ = 0;
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

void check_turns(const Turns& turns) { Checker().check(turns); }

}  // namespace temper
