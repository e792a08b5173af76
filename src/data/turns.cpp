#include "data/turns.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <deque>
#include <optional>
#include <utility>

#include "data/python_json.h"
#include "data/reasoning.h"
#include "data/row_format.h"
#include "data/turn_weight.h"

namespace temper {
namespace {

constexpr const char* kCall = "call";   // a turn that only holds calls; becomes an assistant

constexpr std::array<std::pair<std::string_view, const char*>, 16> kRoleNames{{{"system", "system"},
                                                                           {"developer", "developer"},
                                                                           {"latest_reminder", "latest_reminder"},
                                                                           {"user", "user"},
                                                                           {"human", "user"},
                                                                           {"assistant", "assistant"},
                                                                           {"gpt", "assistant"},
                                                                           {"bot", "assistant"},
                                                                           {"model", "assistant"},
                                                                           {"tool", "tool"},
                                                                           {"observation", "tool"},
                                                                           {"tool_response", "tool"},
                                                                           {"function", "tool"},
                                                                           {"ipython", "tool"},
                                                                           {"function_call", kCall},
                                                                           {"tool_call", kCall}}};

/// The role's name here, or "".
std::string role_of(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto& [known, role] : kRoleNames)
    if (known == name) return role;
  return "";
}

std::string known_roles() {
  std::string names;
  for (const auto& [known, role] : kRoleNames) names += (names.empty() ? "" : ", ") + std::string(known);
  return names;
}

bool is_set(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && !found->is_null();
}

/// Walks the turns of one row.
class TurnReader {
 public:
  explicit TurnReader(std::string noun) : noun_(std::move(noun)) {}

  Turns read(const Json& list) {
    for (size_t i = 0; i < list.size(); ++i) {
      number_ = i + 1;
      if (!list[i].is_object()) throw BadRow{fmt::format("{} {} is not an object", noun_, number_)};
      if (const std::string key = unread_flag_of_turn(list[i]); !key.empty())
        throw BadRow{fmt::format("{} {}: \"{}\" looks like a flag of training, but is not read; use weight (a number), loss or train (true or false), or mask (true = not trained)", noun_, number_, key)};
      if (!read_pair(list[i])) read_one(list[i]);
    }
    close_results();
    return std::move(turns_);
  }

 private:
  std::string where(const std::string& name) const { return fmt::format("{} {} ({})", noun_, number_, name); }

  bool read_pair(const Json& object) {
    if (object.contains("role") || object.contains("from")) return false;
    const auto key = [&](std::initializer_list<const char*> names) -> const char* {
      for (const char* name : names)
        if (object.contains(name) && object[name].is_string()) return name;
      return nullptr;
    };
    const char *asked = key({"human", "user"}), *answered = key({"assistant", "gpt", "bot"});
    if (!asked || !answered) return false;
    add({.message = {{"role", "user"}, {"content", object[asked]}}, .where = where(asked)});
    Json answer = object;   // the flags of the pair are the answer's
    answer.erase(asked);
    answer["role"] = "assistant";
    answer["content"] = object[answered];
    answer.erase(answered);
    add({.message = std::move(answer), .where = where(answered)});
    return true;
  }

  void read_one(const Json& object) {
    const char* role_key = is_set(object, "role") ? "role" : "from";   // a table with both columns leaves one empty
    const char* content_key = is_set(object, "content") || !object.contains("value") ? "content" : "value";
    if (is_set(object, "role") && is_set(object, "from") && object["role"] != object["from"]) throw BadRow{fmt::format("{} {} has both \"role\" and \"from\"", noun_, number_)};
    if (is_set(object, "content") && is_set(object, "value") && object["content"] != object["value"]) throw BadRow{fmt::format("{} {} has both \"content\" and \"value\"", noun_, number_)};
    const auto role = object.find(role_key);
    if (role == object.end() || !role->is_string()) throw BadRow{fmt::format("{} {} has no role", noun_, number_)};
    const std::string written = role->get<std::string>();
    Turn turn{.message = object, .where = where(written)};
    const std::string known = role_of(written);
    if (known.empty()) throw BadRow{fmt::format("{}: the role is unknown; known: {}", turn.where, known_roles())};
    turn.message.erase("from");
    turn.message.erase("value");
    turn.message["role"] = known;
    if (object.contains(content_key)) turn.message["content"] = object[content_key];
    else if (std::string_view(role_key) == "from") throw BadRow{fmt::format("{} has no \"value\"", turn.where)};
    if (known == kCall) take_calls_from_text(turn);
    else if (known == "assistant") take_calls_from_keys(turn);
    if (known == "tool" && turn.message.contains("content") && turn.message["content"].is_object()) turn.message["content"] = python_json_text(turn.message["content"]);
    add(std::move(turn));
  }

  void add(Turn turn) {
    const std::string role = turn.message["role"].get<std::string>();
    if (role == "tool") {
      results_.push_back(std::move(turn));
      return;
    }
    close_results();
    if (role == kCall) {
      turn.message["role"] = "assistant";
      if (join_calls(turn)) return;
    }
    turns_.push_back(std::move(turn));
  }

  /// Calls in a row, or behind the assistant's own text, are one message.
  bool join_calls(Turn& turn) {
    if (turns_.empty() || turns_.back().message["role"] != "assistant") return false;
    Json& before = turns_.back().message;
    const auto weight = [](const Turn& one) {
      const WeightFlags flags = weight_flags(one.message);
      if (!flags.problem.empty()) throw BadRow{fmt::format("{}: {}", one.where, flags.problem)};
      return flags.weight.value_or(1.0f);
    };
    if (weight(turns_.back()) != weight(turn)) throw BadRow{fmt::format("{} and {} are one answer, but are marked to be trained differently", turns_.back().where, turn.where)};
    if (is_set(turn.message, "reasoning_content")) {
      if (is_set(before, "reasoning_content")) throw BadRow{fmt::format("{} and {} are one answer, and both hold reasoning", turns_.back().where, turn.where)};
      before["reasoning_content"] = turn.message["reasoning_content"];
    }
    if (!is_set(before, "tool_calls")) before["tool_calls"] = Json::array();
    for (Json& call : turn.message["tool_calls"]) before["tool_calls"].push_back(std::move(call));
    return true;
  }

  Json call_of(const Json& call, const std::string& place) {
    const Json& function = call.is_object() && call.contains("function") ? call["function"] : call;
    if (!function.is_object() || !function.contains("name") || !function["name"].is_string() || function["name"].get_ref<const std::string&>().empty())
      throw BadRow{fmt::format("{}: a call is not JSON with a name and arguments", place)};
    if (!is_set(function, "arguments")) throw BadRow{fmt::format("{}: the call of {} has no \"arguments\" (without any, write {{}})", place, function["name"].get<std::string>())};
    const Json& arguments = function["arguments"];
    std::string id;
    for (const Json* holder : {&call, &function})
      if (id.empty() && holder->contains("id") && (*holder)["id"].is_string()) id = (*holder)["id"].get<std::string>();
    if (id.empty()) id = fmt::format("#{}", n_made_ids_++);
    open_.push_back({id, function["name"].get<std::string>()});
    return {{"id", id}, {"type", "function"}, {"function", {{"name", function["name"]}, {"arguments", arguments.is_string() ? arguments.get<std::string>() : python_json_text(arguments)}}}};
  }

  void set_calls(Turn& turn, const Json& calls) {
    close_results();
    Json list = Json::array();
    for (const Json& call : calls) list.push_back(call_of(call, turn.where));
    turn.message["tool_calls"] = std::move(list);
  }

  void take_calls_from_text(Turn& turn) {
    Json value = turn.message.contains("content") ? turn.message["content"] : Json();
    turn.message["content"] = "";
    if (value.is_string()) {
      std::string_view text = value.get_ref<const std::string&>();
      text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
      constexpr std::string_view kOpen = "<think>", kClose = "</think>";
      if (const size_t close = text.find(kClose); text.starts_with(kOpen) && close != std::string_view::npos) {
        turn.message["reasoning_content"] = trimmed(text.substr(kOpen.size(), close - kOpen.size()));
        text.remove_prefix(close + kClose.size());
      }
      Json parsed = parse_python_json(text).value_or(Json());
      value = std::move(parsed);
    }
    if (value.is_object()) value = Json::array({std::move(value)});
    if (!value.is_array() || value.empty()) throw BadRow{fmt::format("{}: a call is not JSON with a name and arguments", turn.where)};
    set_calls(turn, value);
  }

  void take_calls_from_keys(Turn& turn) {
    Json& message = turn.message;
    if (is_set(message, "tool_calls")) {
      const Json calls = list_or_text_of_list(message["tool_calls"], "tool_calls");
      if (calls.empty()) message.erase("tool_calls");
      else set_calls(turn, calls);
    }
    if (!is_set(message, "function_call")) return;
    if (is_set(message, "tool_calls")) throw BadRow{fmt::format("{} has both \"tool_calls\" and \"function_call\"", turn.where)};
    set_calls(turn, Json::array({message["function_call"]}));
    message.erase("function_call");
  }

  /// Gives results without an id the ids of the calls before them.
  void close_results() {
    if (results_.empty()) return;
    const bool anonymous = std::none_of(results_.begin(), results_.end(), [](const Turn& turn) { return is_set(turn.message, "tool_call_id"); });
    if (anonymous && results_.size() == 1 && open_.size() > 1) split_single_result();
    for (Turn& result : results_) {
      if (is_set(result.message, "tool_call_id")) forget(result.message["tool_call_id"]);
      else if (const std::string id = next_open(result.message); !id.empty()) result.message["tool_call_id"] = id;
      turns_.push_back(std::move(result));
    }
    results_.clear();
    open_.clear();
  }

  void split_single_result() {
    Turn& only = results_.front();
    const Json text = only.message.contains("content") ? only.message["content"] : Json();
    const std::optional<Json> list = text.is_string() ? parse_python_json(text.get_ref<const std::string&>()) : std::nullopt;
    if (!list || !list->is_array() || list->size() != open_.size()) {
      only.answers_all_calls = true;
      return;
    }
    const Turn whole = std::move(only);
    results_.clear();
    for (const Json& part : *list) {
      results_.push_back(whole);
      results_.back().message["content"] = part.is_string() ? part.get<std::string>() : python_json_text(part);
    }
  }

  void forget(const Json& id) {
    std::erase_if(open_, [&](const Open& one) { return id == one.id; });
  }
  std::string next_open(const Json& result) {
    const auto named = is_set(result, "name") && result["name"].is_string()
                           ? std::find_if(open_.begin(), open_.end(), [&](const Open& one) { return one.name == result["name"].get_ref<const std::string&>(); })
                           : open_.end();
    const auto next = named != open_.end() ? named : open_.begin();
    if (next == open_.end()) return "";
    std::string id = next->id;
    open_.erase(next);
    return id;
  }

  struct Open {
    std::string id, name;
  };
  std::string noun_;
  size_t number_ = 0;
  Turns turns_, results_;       // results_: tool turns in a row, not yet in turns_
  std::deque<Open> open_;       // calls of the last answer without a result
  int n_made_ids_ = 0;
};

}  // namespace

Turn make_turn(const char* role, std::string content, std::string where) { return {.message = {{"role", role}, {"content", std::move(content)}}, .where = std::move(where)}; }

Turns read_turns(const Json& list, const std::string& noun) { return TurnReader(noun).read(list); }

Json list_or_text_of_list(const Json& value, const char* key) {
  Json list = value;
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) return Json::array();
    list = parse_python_json(text).value_or(text);
  }
  if (list.is_null()) return Json::array();
  if (!list.is_array()) throw BadRow{fmt::format("\"{}\" is neither a list nor a string that holds one as JSON", key)};
  for (Json& item : list)
    if (item.is_string()) item = parse_python_json(item.get_ref<const std::string&>()).value_or(item);
  return list;
}

}  // namespace temper
