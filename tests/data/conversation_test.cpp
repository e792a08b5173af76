#include "data/conversation.h"

#include <gtest/gtest.h>

#include "data/python_json.h"
#include "support/expect_error.h"

namespace temper {
namespace {

Conversation read(const std::string& json) { return Conversation::from_json(parse_json(json, "row"), "row"); }

TEST(Conversation, ReadsOpenAiMessages) {
  const Conversation c = read(R"([{"role":"system","content":null,"tools":[{"type":"function","function":{"name":"f","x":1.0}}]},
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"}]},
    {"role":"assistant","tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"x\": 10000000000000000000000}"}}]},
    {"role":"tool","tool_call_id":"c1","content":""}])");
  ASSERT_EQ(c.messages.size(), 4u);
  EXPECT_EQ(c.messages[0].tools, std::vector<std::string>{R"({"name": "f", "x": 1.0})"});
  EXPECT_EQ(c.messages[1].blocks[0].text, "a\n\n[Unsupported image_url]\n\nb");
  EXPECT_EQ(c.messages[2].tool_calls[0].arguments, R"({"x": 10000000000000000000000})");
  EXPECT_TRUE(c.messages[3].blocks[0].is_tool_result);
}

TEST(Conversation, ToolsBesideTheMessagesHangOnTheSystemMessage) {
  EXPECT_EQ(read(R"({"tools":[{"name":"f"}],"messages":[{"role":"system","content":"S"},{"role":"user","content":"q"}]})").messages[0].tools.size(), 1u);
  const Conversation without_system = read(R"({"tools":[{"name":"f"}],"messages":[{"role":"user","content":"q"}]})");
  ASSERT_EQ(without_system.messages.size(), 2u);
  EXPECT_EQ(without_system.messages[0].role, Role::kSystem);
}

TEST(Conversation, ReadsArgumentsThatAreAnObject) {
  EXPECT_EQ(read(R"([{"role":"assistant","tool_calls":[{"name":"f","arguments":{"a":[1,2]}}]}])").messages[0].tool_calls[0].arguments, R"({"a": [1, 2]})");
}

// json.dumps(json.loads(...)) of CPython 3.11; the official encoder writes schemas with it.
TEST(Conversation, NumbersOfSchemasAndArgumentsAreWhatPythonWrites) {
  const Json messages = *parse_python_json(R"([{"role":"system","content":"","tools":[{"function":{"name":"f","max":123456789012345678901234567890,"e":1e400,"x":1.0,"l":0.10000000000000000555}}]},
    {"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"id":-123456789012345678901234567890,"p":1.50}}}]}])");
  const Conversation c = Conversation::from_json(messages, "row");
  EXPECT_EQ(c.messages[0].tools[0], R"({"name": "f", "max": 123456789012345678901234567890, "e": Infinity, "x": 1.0, "l": 0.1})");
  EXPECT_EQ(c.messages[2].tool_calls[0].arguments, R"({"id": -123456789012345678901234567890, "p": 1.5})");
}

// The official encoder takes the content of a tool message with get("content", "").
TEST(Conversation, AToolMessageWithoutContentIsAnEmptyResult) {
  EXPECT_EQ(read(R"([{"role":"tool","tool_call_id":"c"}])").messages[0].blocks[0].text, "");
}

TEST(Conversation, BadMessagesAreDataErrorsThatNameTheMessage) {
  const std::pair<std::string, std::string> cases[] = {
      {R"([{"role":"user","content":"q"},{"role":"robot","content":"x"}])", "message 2"},
      {R"([{"role":"robot","content":"x"}])", "unknown role \"robot\""},
      {R"([{"role":"user","content":"q","task":"dance"}])", "unknown task"},
      {R"([{"role":"user","content":5}])", "must be text or a list"},
      {R"([{"content":"q"}])", "\"role\" is missing"},
      {R"([{"role":"tool","tool_call_id":"c","content":null}])", "a tool result has the content null"},
      {R"([{"role":"latest_reminder","content":null}])", "a latest_reminder has no content"},
      {R"([{"role":"developer","content":""}])", "a developer message has no content"},
      {R"([{"role":"assistant","content":"a","reasoning":"r"}])", "say reasoning_content"},
      {R"([{"role":"user","content":"q","tool_calls":[{"name":"f"}]}])", "on a message of role user"},
      {R"([{"role":"user","content":"q","tools":[{"name":"f"}]}])", "put it on a system or developer message"},
      {R"([{"role":"assistant","content":"a","weight":-1}])", "must be a number >= 0"},
      {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}])", "\"arguments\" is missing"},
      {R"([{"role":"system","content":"","tools":[{"type":"function"}]}])", "neither \"function\" nor \"name\""},
      {R"([7])", "a message must be an object"},
      {R"({"messages":7})", "must be a list"},
      {R"({"text":7})", "\"messages\" is missing"},
      {R"({"tools":[{"name":"f"}],"messages":[{"role":"system","content":"","tools":[{"name":"g"}]}]})", "keep one of the two"},
  };
  for (const auto& [json, part] : cases) EXPECT_ERROR(read(json), ErrorKind::kData, part);
}

}  // namespace
}  // namespace temper
