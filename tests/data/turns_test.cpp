#include "data/turns.h"

#include <gtest/gtest.h>

#include "data/python_json.h"
#include "data/rows_for_tests.h"

namespace temper {
namespace {


/// {name, arguments} of each call, and the results in the order of the calls.
Json calls_and_results(const Json& messages) {
  Json calls = Json::array(), results = Json::object(), out = Json::array();
  for (const Json& message : messages) {
    if (message.contains("tool_calls"))
      for (const Json& call : message["tool_calls"]) calls.push_back(call);
    if (message["role"] == "tool") results[message["tool_call_id"].get<std::string>()] = message["content"];
  }
  for (const Json& call : calls) out.push_back({call["function"]["name"], call["function"]["arguments"], results.value(call["id"].get<std::string>(), Json())});
  return out;
}

const Json kTwo = Json::parse(R"([["age", "{\"d\": \"1990\"}", "31"], ["age", "{\"d\": \"1992\"}", "29"]])");

std::string sharegpt(const std::string& turns) { return R"({"conversations":[{"from":"human","value":"q"},)" + turns + R"(,{"from":"gpt","value":"a"}]})"; }
std::string call(const char* year) { return std::string(R"({\"name\": \"age\", \"arguments\": {\"d\": \")") + year + R"(\"}})"; }

// The two ways in which LLaMA-Factory's files hold parallel calls, and ms-swift's.
TEST(Turns, ReadsParallelCalls) {
  const std::string results = R"({"from":"observation","value":"31"},{"from":"observation","value":"29"})";
  const std::string lines[] = {sharegpt(R"({"from":"function_call","value":")" + call("1990") + R"("},{"from":"function_call","value":")" + call("1992") + R"("},)" + results),
                               sharegpt(R"({"from":"function_call","value":"[)" + call("1990") + ", " + call("1992") + R"(]"},)" + results),
                               sharegpt(R"({"from":"function_call","value":"[)" + call("1990") + ", " + call("1992") + R"(]"},{"from":"observation","value":"[31, 29]"})"),
                               R"({"messages":[{"role":"user","content":"q"},{"role":"tool_call","content":")" + call("1990") + R"("},{"role":"tool_call","content":")" + call("1992") +
                                   R"("},{"role":"tool_response","content":"31"},{"role":"tool_response","content":"29"},{"role":"assistant","content":"a"}]})"};
  for (const std::string& line : lines) {
    const Json messages = convert(line).messages;
    EXPECT_EQ(calls_and_results(messages), kTwo) << line;
    EXPECT_EQ(messages.size(), 5u) << line;
    EXPECT_EQ(messages[1]["tool_calls"].size(), 2u) << line;
  }
}

TEST(Turns, OneResultThatIsNoListAnswersAllCalls) {
  const Json messages = convert(sharegpt(R"({"from":"function_call","value":"[)" + call("1990") + ", " + call("1992") + R"(]"},{"from":"observation","value":"31 and 29"})")).messages;
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[2]["content"], "31 and 29");
}

TEST(Turns, CallsBehindAnAssistantsTextAreOneMessage) {
  const Json messages = convert(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"I look."},{"role":"tool_call","content":{"name":"f","arguments":{"x":1}}},
    {"role":"tool_response","content":{"y":2}},{"role":"assistant","content":"a"}]})").messages;
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[1]["content"], "I look.");
  EXPECT_EQ(messages[1]["tool_calls"][0]["function"], Json::parse(R"({"name":"f","arguments":"{\"x\": 1}"})"));
  EXPECT_EQ(messages[2]["content"], "{\"y\": 2}");
  EXPECT_NE(bad_reason(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"I look."},{"role":"tool_call","loss":false,"content":{"name":"f","arguments":{}}},
    {"role":"tool","content":"r"},{"role":"assistant","content":"a"}]})").find("marked to be trained differently"), std::string::npos);
}

TEST(Turns, ReadsOpenAisOlderFunctionCall) {
  const Json messages = convert(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"r"},
    {"role":"assistant","content":"a"}],"functions":[{"name":"f"}]})").messages;
  EXPECT_EQ(calls_and_results(messages), Json::parse(R"([["f", "{}", "r"]])"));
  EXPECT_EQ(messages[0]["tools"], Json::parse(R"([{"name":"f"}])"));
}

TEST(Turns, ReasoningBeforeACallIsKept) {
  const Json messages = convert(sharegpt(R"({"from":"function_call","value":"<think>\nhm\n</think>\n)" + call("1990") + R"("},{"from":"observation","value":"31"})")).messages;
  EXPECT_EQ(messages[1]["reasoning_content"], "hm");
  EXPECT_EQ(messages[1]["tool_calls"].size(), 1u);
}

TEST(Turns, KeepsNumbersOfCallsAndSchemasAsPythonDoes) {
  const TrainingRow row = convert(sharegpt(R"({"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"id\": 123456789012345678901234567890, \"p\": 1.50, \"e\": 1e400, \"q\": 1.0, \"n\": 1}}"},{"from":"observation","value":"x"})"));
  EXPECT_EQ(row.messages[1]["tool_calls"][0]["function"]["arguments"], R"({"id": 123456789012345678901234567890, "p": 1.5, "e": Infinity, "q": 1.0, "n": 1})");
  const TrainingRow object = convert(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":{"id": 123456789012345678901234567890}}}]},
    {"role":"tool","tool_call_id":"c","content":"x"},{"role":"assistant","content":"a"}]})");
  EXPECT_EQ(object.messages[1]["tool_calls"][0]["function"]["arguments"], R"({"id": 123456789012345678901234567890})");
}

TEST(Turns, NamesTheTurnAsItStandsInTheRow) {
  EXPECT_EQ(bad_reason(sharegpt(R"({"from":"function_call","value":"no json"})")), "turn 2 (function_call): a call is not JSON with a name and arguments");
  EXPECT_EQ(bad_reason(sharegpt(R"({"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{}}"})")), "turn 3 (gpt): the call of f has no result");
  EXPECT_EQ(bad_reason(sharegpt(R"({"from":"observation","value":"x"})")), "turn 2 (observation): a tool result without its call");
  EXPECT_EQ(bad_reason(sharegpt(R"({"from":"gpt","value":"b"})")), "turn 3 (gpt) follows an assistant message");
  EXPECT_NE(bad_reason(sharegpt(R"({"from":"narrator","value":"b"})")).find("turn 2 (narrator): the role is unknown; known: system"), std::string::npos);
  EXPECT_EQ(bad_reason(sharegpt(R"({"from":"gpt"})")), "turn 2 (gpt) has no \"value\"");
}

TEST(Turns, AResultWithoutContentIsEmptyAndOneThatIsNullIsLeftToTheEncoder) {
  const auto result = [](const std::string& content) { return R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"c")" + content + R"(},{"role":"assistant","content":"a"}]})"; };
  EXPECT_FALSE(convert(result("")).messages[2].contains("content"));
  EXPECT_TRUE(convert(result(R"(,"content":null)")).messages[2]["content"].is_null());
}

TEST(Turns, RefusesArgumentsThatAreNoObject) {
  for (const char* arguments : {R"("\"{}\"")", R"("[1]")", R"("")", R"("x=1")", "null", "[1]", "3"}) {
    const std::string line = R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"f","arguments":)" + std::string(arguments) + "}}]}]}";
    EXPECT_NE(bad_reason(line).find("message 2 (assistant): the "), std::string::npos) << arguments << bad_reason(line);
    EXPECT_NE(bad_reason(line).find("(without any, write {})"), std::string::npos) << arguments << bad_reason(line);
  }
}

TEST(Turns, ReadsEitherSpellingUnderEitherKey) {
  const Json expected = Json::parse(R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"}])");
  for (const char* line : {R"({"conversations":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})", R"({"messages":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]})",
                           R"({"messages":[{"role":"human","content":"q"},{"role":"bot","content":"a"}]})", R"({"conversation":[{"human":"q","assistant":"a"}]})", R"({"query":"q","response":"a"})",
                           R"({"messages":"[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]"})"})
    EXPECT_EQ(convert(line).messages, expected) << line;
}

}  // namespace
}  // namespace temper
