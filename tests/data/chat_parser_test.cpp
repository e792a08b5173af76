#include "data/chat_parser.h"

#include <gtest/gtest.h>

#include "data/chat_encoding.h"
#include "data/chat_tokens.h"
#include "data/python_json.h"
#include "support/expect_error.h"
#include "support/fixtures.h"

namespace temper {
namespace {

const std::string kEnd(chat::kEos);
const std::string kCallsBegin = "\n\n<｜DSML｜tool_calls>\n", kCallsEnd = "\n</｜DSML｜tool_calls>";

std::string one_call(const std::string& inside) { return kCallsBegin + "<｜DSML｜invoke name=\"f\">\n" + inside + "\n</｜DSML｜invoke>" + kCallsEnd + kEnd; }
std::string parameter(const std::string& name, bool is_string, const std::string& value) {
  return "<｜DSML｜parameter name=\"" + name + "\" string=\"" + (is_string ? "true" : "false") + "\">" + value + "</｜DSML｜parameter>";
}

TEST(ChatParser, ReadsReasoningContentAndCalls) {
  const ChatMessage m = parse_answer("r</think>c" + one_call(parameter("s", true, "1<2\n\"") + "\n" + parameter("n", false, "[1, 2.5]")), /*thinking=*/true);
  EXPECT_EQ(m.reasoning_content, "r");
  EXPECT_EQ(m.content, "c");
  ASSERT_EQ(m.tool_calls.size(), 1u);
  EXPECT_EQ(m.tool_calls[0].name, "f");
  EXPECT_EQ(m.tool_calls[0].arguments, R"({"s": "1<2\n\"", "n": [1, 2.5]})");
}

TEST(ChatParser, AcceptsACallWithoutArgumentsWithOneOrTwoLineEnds) {
  EXPECT_EQ(parse_answer(one_call(""), false).tool_calls[0].arguments, "{}");
  const std::string tight = kCallsBegin + "<｜DSML｜invoke name=\"f\">\n</｜DSML｜invoke>" + kCallsEnd + kEnd;
  EXPECT_EQ(parse_answer(tight, false).tool_calls[0].arguments, "{}");
}

TEST(ChatParser, EachDefectHasItsOwnSentence) {
  const std::pair<std::string, std::string> cases[] = {
      {"no end", "no end token"},
      {"a" + kEnd + "b", "behind the end token"},
      {"a</think>b" + kEnd, "control token </think>"},
      {"a<think>" + kEnd, "control token <think>"},
      {"｜DSML｜" + kEnd, "control token ｜DSML｜"},
      {kCallsBegin + "<｜DSML｜invoke name=\"f\">\n", "does not end"},
      {kCallsBegin + "x<｜DSML｜invoke name=\"f\">\n\n</｜DSML｜invoke>" + kCallsEnd + kEnd, "behind a tag of tool calls"},
      {one_call(parameter("a", true, "1") + "\n" + parameter("a", true, "2")), "stands twice"},
      {one_call(parameter("a", false, "oops")), "is not JSON"},
      {one_call(parameter("a", true, "1") + parameter("b", true, "2")), "behind a parameter"},
      {one_call("<｜DSML｜parameter name=\"a\">1</｜DSML｜parameter>"), "a parameter reads"},
      {kCallsBegin + "<｜DSML｜invoke f>\n\n</｜DSML｜invoke>" + kCallsEnd + kEnd, "a call begins with"},
      {kCallsBegin + "<｜DSML｜invoke name=\"f\">\n\n</｜DSML｜invoke>" + kCallsEnd + " " + kEnd, "between the tool calls and the end token"},
  };
  for (const auto& [text, part] : cases) EXPECT_ERROR(parse_answer(text, false), ErrorKind::kData, part);
  EXPECT_ERROR(parse_answer("thoughts only" + kEnd, true), ErrorKind::kData, "does not end with </think>");
}

TEST(ChatParser, TheTolerantReadingKeepsWhatIsThere) {
  EXPECT_EQ(parse_answer_tolerantly("r</think>c" + kEnd, true).defects.size(), 0u);
  EXPECT_EQ(parse_answer_tolerantly("cut off", false).message.content, "cut off");
  EXPECT_EQ(parse_answer_tolerantly("cut off", true).message.reasoning_content, "cut off");
  EXPECT_EQ(parse_answer_tolerantly("a" + kEnd + "b", false).message.content, "a");
  const TolerantAnswer salvaged = parse_answer_tolerantly("c" + kCallsBegin + "<｜DSML｜invoke name=\"f\">" + parameter("a", false, "1") + parameter("b", false, "oops") + "</｜DSML｜invoke>", false);
  ASSERT_EQ(salvaged.message.tool_calls.size(), 1u);
  EXPECT_EQ(salvaged.message.tool_calls[0].arguments, R"({"a": 1, "b": "oops"})");
  EXPECT_EQ(salvaged.message.content, "c");
  EXPECT_EQ(salvaged.defects.size(), 1u);
  EXPECT_NE(parse_answer_tolerantly(kCallsBegin + "nothing", false).message.content.find("nothing"), std::string::npos);
}

// 500 rendered and then damaged answers through the official parser (tools/oracle/chat_vectors.py).  Ours refuses three things more:
// a missing end token behind calls, a block of calls that only begins, and values that are not JSON.
TEST(ChatParser, AgreesWithTheOfficialParserOnDamagedAnswers) {
  int n_stricter = 0;
  const std::vector<Json> rows = test::read_fixture_lines("chat/fuzz_answers.jsonl.zst");
  EXPECT_EQ(rows.size(), 500u);
  for (const Json& row : rows) {
    const auto text = row["text"].get<std::string>();
    const bool thinking = row["thinking_mode"] == "thinking";
    const Json& expected = row["message"];
    const TolerantAnswer read = parse_answer_tolerantly(text, thinking);
    if (!read.defects.empty()) {
      const std::string& defect = read.defects[0];
      const bool ours_only = defect.find("no end token") != std::string::npos || defect.find("does not end") != std::string::npos || defect.find("is not JSON") != std::string::npos;
      EXPECT_TRUE(expected.is_null() || ours_only) << defect << "\n" << text;
      n_stricter += !expected.is_null();
      continue;
    }
    ASSERT_FALSE(expected.is_null()) << text;
    EXPECT_EQ(read.message.content, expected["content"]);
    EXPECT_EQ(read.message.reasoning_content, expected["reasoning_content"]);
    ASSERT_EQ(read.message.tool_calls.size(), expected["tool_calls"].size());
    for (size_t i = 0; i < read.message.tool_calls.size(); ++i) {
      EXPECT_EQ(read.message.tool_calls[i].name, expected["tool_calls"][i][0]);
      EXPECT_EQ(read.message.tool_calls[i].arguments, expected["tool_calls"][i][1]);
    }
  }
  EXPECT_LT(n_stricter, 20);
}

// Every answer of the derived conversations, rendered and read again.
TEST(ChatParser, ReadsBackWhatIsRendered) {
  int n_answers = 0;
  for (const Json& c : test::read_fixture_lines("chat/derived_cases.jsonl.zst")) {
    for (const ChatMessage& message : Conversation::from_json(c["messages"], "case").messages) {
      if (message.role != Role::kAssistant || message.task) continue;
      const ChatOptions options{.thinking_mode = "thinking", .drop_thinking = false, .add_bos = false};
      const ChatMessage read = parse_answer(render_chat({{message}}, options), true);
      EXPECT_EQ(read.content, message.content);
      EXPECT_EQ(read.reasoning_content, message.reasoning_content);
      ASSERT_EQ(read.tool_calls.size(), message.tool_calls.size());
      for (size_t i = 0; i < read.tool_calls.size(); ++i) {
        EXPECT_EQ(read.tool_calls[i].name, message.tool_calls[i].name);
        EXPECT_EQ(read.tool_calls[i].arguments, python_json_text(*parse_python_json(message.tool_calls[i].arguments)));
      }
      ++n_answers;
    }
  }
  EXPECT_GT(n_answers, 100);
}

}  // namespace
}  // namespace temper
