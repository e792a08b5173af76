#include "data/chat_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "data/chat_texts.h"
#include "data/chat_tokens.h"
#include "data/python_json.h"

namespace temper {
namespace {

[[noreturn]] void fail(std::string what) {
  throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = "the model's answer", .fix = "the answer breaks the chat format; sample again or count it as malformed"});
}

/// Text up to the first of several marks.
class AnswerReader {
 public:
  explicit AnswerReader(std::string_view text) : text_(text) {}

  struct Stop {
    std::string_view before;
    std::string_view mark;  // empty: none came, and `before` is the rest
  };
  Stop until(std::initializer_list<std::string_view> marks) {
    size_t first = std::string_view::npos;
    std::string_view found;
    for (const std::string_view mark : marks) {
      const size_t at = text_.find(mark, at_);
      if (at < first) first = at, found = mark;
    }
    const Stop stop{text_.substr(at_, first == std::string_view::npos ? first : first - at_), found};
    at_ = found.empty() ? text_.size() : first + found.size();
    return stop;
  }
  std::string_view rest() const { return text_.substr(at_); }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}
bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

struct Parameter {
  std::string name, value;
  bool is_string;
};

/// {"name": value, ...} as Python would have written it.
std::string arguments_text(const std::vector<Parameter>& parameters) {
  std::string text = "{";
  for (const Parameter& parameter : parameters) {
    if (text.size() > 1) text += ", ";
    text += python_json_string(parameter.name) + ": " + (parameter.is_string ? python_json_string(parameter.value) : parameter.value);
  }
  return text + "}";
}

/// ` name="NAME">` and one or two newlines.
std::string strict_name(std::string_view head) {
  std::string_view name = head;
  name.remove_prefix(std::min(name.find_first_not_of(" \t\r\n\f\v"), name.size()));
  const bool good = take_prefix(name, "name=\"") && (take_suffix(name, "\">\n\n") || take_suffix(name, "\">\n"));
  if (!good) fail(fmt::format("a call begins with {:?} instead of name=\"...\">", head));
  return std::string(name);
}

/// ` name="NAME" string="true|false">VALUE<`; the first place where the middle fits ends the name.
Parameter strict_parameter(std::string_view text) {
  const std::string_view whole = text;
  constexpr std::string_view kTrue = "\" string=\"true\">", kFalse = "\" string=\"false\">";
  if (take_prefix(text, " name=\"") && take_suffix(text, "<")) {
    const size_t at_true = text.find(kTrue), at_false = text.find(kFalse);
    const size_t at = std::min(at_true, at_false);
    if (at != std::string_view::npos) {
      const bool is_string = at_true < at_false;
      return {std::string(text.substr(0, at)), std::string(text.substr(at + (is_string ? kTrue : kFalse).size())), is_string};
    }
  }
  fail(fmt::format("a parameter reads {:?} instead of name=\"...\" string=\"true|false\">...", whole));
}

void expect_tag_end(std::string_view found, const char* after) {
  if (found != ">\n") fail(fmt::format("behind {} stands {:?} instead of \">\" and a line end", after, found));
}

/// The calls behind the opening tag.
std::vector<ToolCall> strict_calls(AnswerReader& reader) {
  std::vector<ToolCall> calls;
  while (true) {
    const AnswerReader::Stop stop = reader.until({chat::kDsmlInvoke, chat::kDsmlEndCalls});
    if (stop.mark.empty()) fail("the block of tool calls does not end");
    expect_tag_end(stop.before, "a tag of tool calls");
    if (stop.mark == chat::kDsmlEndCalls) return calls;
    ToolCall call;
    AnswerReader::Stop inside = reader.until({chat::kDsmlParameter, chat::kDsmlEndInvoke});
    call.name = strict_name(inside.before);
    std::vector<Parameter> parameters;
    while (inside.mark == chat::kDsmlParameter) {
      Parameter parameter = strict_parameter(reader.until({chat::kDsmlEndParameter}).before);
      for (const Parameter& other : parameters) {
        if (other.name == parameter.name) fail(fmt::format("the parameter {:?} stands twice in one call", parameter.name));
      }
      if (!parameter.is_string && !parse_python_json(parameter.value)) fail(fmt::format("the parameter {:?} says string=\"false\", but {:?} is not JSON", parameter.name, parameter.value));
      parameters.push_back(std::move(parameter));
      inside = reader.until({chat::kDsmlParameter, chat::kDsmlEndInvoke});
      expect_tag_end(inside.before, "a parameter");
    }
    if (inside.mark.empty()) fail("a tool call does not end");
    call.arguments = arguments_text(parameters);
    calls.push_back(std::move(call));
  }
}

/// A token of the format inside what should be text, or "".
std::string_view token_in(std::string_view text) {
  for (const std::string_view token : {chat::kBos, chat::kEos, chat::kThink, chat::kEndThink, chat::kDsml}) {
    if (text.find(token) != std::string_view::npos) return token;
  }
  return {};
}

// --- the tolerant side ---

std::string between(std::string_view text, std::string_view open, std::string_view close) {
  const size_t begin = text.find(open);
  if (begin == std::string_view::npos) return {};
  const size_t from = begin + open.size();
  return std::string(text.substr(from, std::min(text.find(close, from), text.size()) - from));
}

/// Calls that can be made out in a damaged block.
std::vector<ToolCall> salvaged_calls(std::string_view block) {
  std::vector<ToolCall> calls;
  AnswerReader reader(block);
  reader.until({chat::kDsmlInvoke});
  while (!reader.rest().empty()) {
    const std::string_view body = reader.until({chat::kDsmlInvoke}).before;
    ToolCall call;
    call.name = between(body, "name=\"", "\"");
    if (call.name.empty()) continue;
    std::vector<Parameter> parameters;
    AnswerReader inside(body);
    inside.until({chat::kDsmlParameter});
    while (!inside.rest().empty()) {
      std::string_view text = inside.until({chat::kDsmlParameter}).before;
      Parameter parameter{between(text, "name=\"", "\""), "", text.find("string=\"false\"") == std::string_view::npos};
      text.remove_prefix(std::min(text.find('>') + 1, text.size()));
      const size_t end = std::min({text.find("</｜DSML｜"), text.find("<｜DSML｜"), text.size()});
      parameter.value = std::string(text.substr(0, end));
      if (!parameter.is_string && !parse_python_json(parameter.value)) parameter.is_string = true;
      const bool again = std::any_of(parameters.begin(), parameters.end(), [&](const Parameter& p) { return p.name == parameter.name; });
      if (!parameter.name.empty() && !again) parameters.push_back(std::move(parameter));
    }
    call.arguments = arguments_text(parameters);
    calls.push_back(std::move(call));
  }
  return calls;
}

}  // namespace

ChatMessage parse_answer(std::string_view text, bool thinking) {
  ChatMessage message;
  message.role = Role::kAssistant;
  AnswerReader reader(text);
  if (thinking) {
    const AnswerReader::Stop stop = reader.until({chat::kEndThink, chat::kDsmlCalls});
    if (stop.mark != chat::kEndThink) fail("the reasoning does not end with </think>");
    message.reasoning_content = std::string(stop.before);
  }
  const AnswerReader::Stop stop = reader.until({chat::kEos, chat::kDsmlCalls});
  message.content = std::string(stop.before);
  if (stop.mark.empty()) fail("the answer has no end token");
  if (stop.mark == chat::kDsmlCalls) {
    message.tool_calls = strict_calls(reader);
    const AnswerReader::Stop end = reader.until({chat::kEos});
    if (end.mark.empty()) fail("the answer has no end token");
    if (!end.before.empty()) fail(fmt::format("between the tool calls and the end token stands {:?}", end.before));
  }
  if (!reader.rest().empty()) fail(fmt::format("behind the end token stands {:?}", reader.rest()));
  for (const std::string& part : {message.content, message.reasoning_content}) {
    if (const std::string_view token = token_in(part); !token.empty()) fail(fmt::format("the text contains the control token {}", token));
  }
  return message;
}

TolerantAnswer parse_answer_tolerantly(std::string_view text, bool thinking) {
  TolerantAnswer answer;
  try {
    answer.message = parse_answer(text, thinking);
    return answer;
  } catch (const Error& error) {
    answer.defects.push_back(error.parts().what);
  }
  ChatMessage& message = answer.message;
  message.role = Role::kAssistant;
  if (const size_t end = text.find(chat::kEos); end != std::string_view::npos) text = text.substr(0, end);
  if (thinking) {
    const size_t end = text.find(chat::kEndThink);
    message.reasoning_content = std::string(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + chat::kEndThink.size());
  }
  const size_t block = text.find(chat::kDsmlCalls);
  message.content = std::string(text.substr(0, block));
  if (block != std::string_view::npos) {
    message.tool_calls = salvaged_calls(text.substr(block));
    if (message.tool_calls.empty()) message.content += text.substr(block);
  }
  return answer;
}

}  // namespace temper
