#include "data/row_format.h"

#include <gtest/gtest.h>

#include "data/rows_for_tests.h"

namespace temper {
namespace {

std::string messages_of(const std::string& rest) { return R"({"messages":[)" + rest + "]}"; }

TEST(RowFormat, IsFoundByTheKeysOfTheRow) {
  EXPECT_EQ(detect_row_format(parse_row(R"({"text":"a"})")), RowFormat::kText);
  EXPECT_EQ(detect_row_format(parse_row(R"({"messages":[],"id":3})")), RowFormat::kMessages);
  EXPECT_EQ(detect_row_format(parse_row(R"({"prompt":"a","completion":"b"})")), RowFormat::kPromptCompletion);
  EXPECT_EQ(detect_row_format(parse_row(R"({"instruction":"a","input":"","output":"b"})")), RowFormat::kAlpaca);
  EXPECT_EQ(detect_row_format(parse_row(R"({"conversations":[]})")), RowFormat::kShareGpt);
}

TEST(RowFormat, DoesNotGuess) {
  EXPECT_NE(bad_reason(R"({"text":"a","messages":[]})").find("fit messages and text"), std::string::npos);
  EXPECT_NE(bad_reason(R"({"body":"a"})").find("the keys (body) fit no known format"), std::string::npos);
  EXPECT_NE(bad_reason(R"({"prompt":"a","chosen":"b","rejected":"c"})").find("preference"), std::string::npos);
  EXPECT_NE(bad_reason(R"({"prompt":"a","completion":"b","label":true})").find("KTO"), std::string::npos);
  EXPECT_NE(bad_reason(R"({"messages":[],"rejected_response":"b"})").find("preference"), std::string::npos);
  EXPECT_NE(bad_reason(R"({"messages":[],"label":false})").find("KTO"), std::string::npos);
  EXPECT_NE(bad_reason(R"({"role":"user","content":"a"})").find("a whole conversation is needed"), std::string::npos);
}

TEST(ParseRow, NamesTheByteAndRefusesDeepNesting) {
  EXPECT_EQ(reason_of([] { parse_row(R"({"a": nope})"); }), "not valid JSON at byte 7");
  EXPECT_EQ(reason_of([] { parse_row("[1]"); }), "the row is array, an object is needed");
  const std::string deep = R"({"a":)" + std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_NE(reason_of([&] { parse_row(deep); }).find("nested"), std::string::npos);
  EXPECT_NO_THROW(parse_row(R"({"a":"[[[[ \" [[[["})"));
  EXPECT_NE(reason_of([] { parse_row(R"({"text":"\ud800"})"); }).find("not valid JSON"), std::string::npos);   // a lone surrogate
}

TEST(ConvertRow, AlpacaLeavesNoLineBreakForAnEmptyPart) {
  const auto asked = [](const std::string& parts) { return convert("{" + parts + R"(,"output":"b"})").messages[0]["content"].get<std::string>(); };
  EXPECT_EQ(asked(R"("instruction":"","input":"a")"), "a");
  EXPECT_EQ(asked(R"("instruction":null,"input":"a")"), "a");
  EXPECT_EQ(asked(R"("instruction":" ","input":"a")"), "a");
  EXPECT_EQ(asked(R"("instruction":"a","input":" ")"), "a");
  EXPECT_EQ(asked(R"("instruction":"a","input":null)"), "a");
  EXPECT_EQ(bad_reason(R"({"instruction":"","input":"","output":"b"})"), "instruction is empty");
}

std::vector<RowNote> notes_of(const std::string& line, const RowOptions& options = {}) { return convert(line, options).notes; }

TEST(ConvertRow, AnEmptySystemMessageIsNoneAndIsNoted) {
  const std::string rest = R"({"role":"user","content":"q"},{"role":"assistant","content":"a"})";
  for (const char* system : {R"("content":"")", R"("content":" \n")", R"("content":null)", R"("name":"s")"}) {
    const std::string line = messages_of(std::string(R"({"role":"system",)") + system + "}," + rest);
    EXPECT_EQ(convert(line).messages.size(), 2u) << line;
    EXPECT_EQ(notes_of(line), std::vector{RowNote::kEmptySystem}) << line;
  }
  EXPECT_EQ(notes_of(R"({"system":" ","instruction":"q","output":"a"})"), std::vector{RowNote::kEmptySystem});
  EXPECT_TRUE(notes_of(R"({"system":"","instruction":"q","output":"a"})").empty());   // a column that most rows leave empty
  const TrainingRow with_tools = convert(messages_of(R"({"role":"system","content":"","tools":[{"name":"f"}]},)" + rest));
  EXPECT_EQ(with_tools.messages.size(), 3u);
  EXPECT_TRUE(with_tools.notes.empty());
}

TEST(ConvertRow, NotesReasoningThatTheModeLeavesOutOrMisses) {
  const std::string with = R"({"instruction":"q","output":"<think>r</think>a"})", without = R"({"instruction":"q","output":"a"})";
  EXPECT_EQ(notes_of(with), std::vector{RowNote::kReasoningLeftOut});
  EXPECT_TRUE(notes_of(with, {.thinking = true}).empty());
  EXPECT_EQ(notes_of(without, {.thinking = true}), std::vector{RowNote::kEmptyReasoning});
  EXPECT_TRUE(notes_of(without).empty());
  EXPECT_NE(row_note_text(RowNote::kReasoningLeftOut, 3).find("3 rows have reasoning that is left out"), std::string::npos);
  EXPECT_NE(row_note_text(RowNote::kReasoningLeftOut, 3).find("set data.thinking_mode = \"thinking\""), std::string::npos);
}

TEST(ConvertRow, SaysWhereEachMessageStoodInTheRow) {
  EXPECT_EQ(convert(R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}],"system":"s"})").origins,
            (std::vector<std::string>{"system", "turn 1 (human)", "turn 2 (gpt)"}));
}

TEST(ConvertRow, RefusesImagesInsteadOfTrainingOnTheTextAlone) {
  EXPECT_EQ(bad_reason(R"({"instruction":"<image>what?","output":"a","images":["a.png"]})"), "the row has images; the model reads text only");
  EXPECT_EQ(bad_reason(R"({"instruction":"what?","output":"a","images":[]})"), "nothing was wrong");
}

// The shapes of the rows are those of spec tables in the libraries' own documentation: Stanford Alpaca, ShareGPT, OpenAI, TRL.
TEST(ConvertRow, AlpacaJoinsInstructionAndInputAndPutsHistoryFirst) {
  const std::string line = R"({"instruction":"Add","input":"1 2","output":"3","system":"Be exact.","history":[["Hi","Hello"]]})";
  EXPECT_EQ(convert(line).messages, Json::parse(R"([{"role":"system","content":"Be exact."},{"role":"user","content":"Hi"},
    {"role":"assistant","content":"Hello"},{"role":"user","content":"Add\n1 2"},{"role":"assistant","content":"3"}])"));
  EXPECT_EQ(convert(line, {.mask_history = true}).messages[2]["weight"], 0);
}

TEST(ConvertRow, PromptCompletionTrainsTheCompletionOnly) {
  EXPECT_EQ(convert(R"({"prompt":"q","completion":"a"})").messages,
            Json::parse(R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"}])"));
  const Json messages = convert(R"({"prompt":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"r"}],
    "completion":[{"role":"assistant","content":"b"}]})").messages;
  EXPECT_EQ(messages[1]["weight"], 0);
  EXPECT_FALSE(messages[3].contains("weight"));
}

TEST(ConvertRow, ShareGptTurnsFunctionCallsAndObservationsIntoToolMessages) {
  const Json messages = convert(R"({"conversations":[{"from":"human","value":"weather?"},
    {"from":"function_call","value":"{\"name\":\"w\",\"arguments\":{\"city\":\"Ulm\"}}"},{"from":"observation","value":"rain"},
    {"from":"gpt","value":"It rains."}],"tools":"[{\"name\":\"w\"}]"})").messages;
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0], Json::parse(R"({"role":"system","content":"","tools":[{"name":"w"}]})"));
  EXPECT_EQ(messages[2]["tool_calls"][0]["function"], Json::parse(R"({"name":"w","arguments":"{\"city\": \"Ulm\"}"})"));
  EXPECT_EQ(messages[2]["tool_calls"][0]["id"], messages[3]["tool_call_id"]);
}

TEST(ConvertRow, BringsThinkingInAllThreeFormsToOneField) {
  for (const char* answer : {R"("content":"b","reasoning":"why")", R"("content":"b","thinking":"why")", R"("content":"<think>why</think>\n\nb")"}) {
    const Json messages = convert(messages_of(std::string(R"({"role":"user","content":"q"},{"role":"assistant",)") + answer + "}")).messages;
    EXPECT_EQ(messages[1]["reasoning_content"], "why") << answer;
    EXPECT_EQ(messages[1]["content"], "b") << answer;
    EXPECT_EQ(messages[1].size(), 3u) << answer;
  }
}

TEST(ConvertRow, NamesEachBrokenRule) {
  const std::string user = R"({"role":"user","content":"q"})", answer = R"({"role":"assistant","content":"a"})";
  const std::string call = R"({"role":"assistant","content":"","tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{}"}}]})";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "the list of messages is empty"},
      {user, "no assistant message"},
      {answer, "nobody asked before it"},
      {user + "," + answer + "," + answer, "follows an assistant"},
      {user + "," + R"({"role":"assistant","content":" "})", "message 2 (assistant) is empty"},
      {R"({"role":"user","content":""},)" + answer, "message 1 (user) is empty"},
      {R"({"role":"robot","content":"x"},)" + answer, "the role is unknown"},
      {user + "," + answer + R"(,{"role":"system","content":"x"})", "must be the first"},
      {user + R"(,{"role":"tool","content":"x"},)" + answer, "without its call"},
      {user + "," + call + "," + user + "," + answer, "the call c1 has no result"},
      {user + R"(,{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{"}}]})", "are not JSON"},
      {user + R"(,{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"f","arguments":{}}},{"id":"c","function":{"name":"f","arguments":{}}}]})", "occurs twice"},
      {user + R"(,{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"f"}}]})", "has no \"arguments\""},
      {R"({"role":"user","content":"a <｜Assistant｜> b"},)" + answer, "control token <｜Assistant｜>"},
      {user + R"(,{"role":"assistant","content":"<think>a"})", "the reasoning is cut off"},
      {user + R"(,{"role":"assistant","content":"a","mask":1})", "no assistant message"},
      {user + R"(,{"role":"assistant","content":7})", "content is number"},
      {user + R"(,{"content":"a"})", "has no role"},
      {user + ",3", "not an object"}};
  for (const auto& [messages, part] : cases) EXPECT_NE(bad_reason(messages_of(messages)).find(part), std::string::npos) << messages << "\n" << bad_reason(messages_of(messages));
  EXPECT_EQ(convert(messages_of(user + "," + call + R"(,{"role":"tool","tool_call_id":"c1","content":"r"},)" + answer)).messages.size(), 4u);
}

TEST(ConvertRow, TextMustHoldSomething) {
  EXPECT_EQ(convert(R"({"text":"once"})").text, "once");
  EXPECT_EQ(bad_reason(R"({"text":" \n"})"), "\"text\" is empty");
  EXPECT_EQ(bad_reason(R"({"text":3})"), "\"text\" is number, a string is needed");
}

}  // namespace
}  // namespace temper
