#include "data/reasoning.h"

#include <gtest/gtest.h>

#include "data/rows_for_tests.h"

namespace temper {
namespace {

struct Read {
  std::string reasoning, answer;
  bool tag_left = false;
  bool operator==(const Read&) const = default;
};
void PrintTo(const Read& read, std::ostream* out) { *out << Json({read.reasoning, read.answer, read.tag_left}); }

Read read(const Json& content, Json message = Json::object()) {
  message["content"] = content;
  Read out;
  out.tag_left = normalise_reasoning(message, "message 2");
  out.answer = message["content"].get<std::string>();
  out.reasoning = message.value("reasoning_content", "");
  return out;
}

std::string bad_content(const Json& content, const Json& message = Json::object()) {
  return reason_of([&] { read(content, message); });
}

TEST(Reasoning, IsReadFromTagsAtTheStart) {
  EXPECT_EQ(read("<think>hm</think>a"), (Read{"hm", "a"}));
  EXPECT_EQ(read("\n<think>hm</think>\n\na"), (Read{"hm", "a"}));
  EXPECT_EQ(read(" \t<think>\nhm\nso\n</think>\n\na\n"), (Read{"hm\nso", "a\n"}));
  EXPECT_EQ(read("<think>hm</think> a"), (Read{"hm", "a"}));
  EXPECT_EQ(read("<think>hm</think>\n    indented"), (Read{"hm", "    indented"}));
  EXPECT_EQ(read("<think>\n\n</think>\n\na"), (Read{"", "a"}));   // how Qwen's files mark an answer without reasoning
}

// The prompt of DeepSeek-R1 ends with <think>, so its stored answers begin behind it.
TEST(Reasoning, IsReadWithoutTheOpeningTag) {
  EXPECT_EQ(read("Okay.\n</think>\n\na"), (Read{"Okay.", "a"}));
  EXPECT_EQ(read("hm</think>a"), (Read{"hm", "a"}));
  EXPECT_EQ(read("\n\n</think>\n\na"), (Read{"", "a"}));
  EXPECT_EQ(read("He said \"four\"</think>a"), (Read{"He said \"four\"", "a"}));
}

TEST(Reasoning, ATagInsideAnAnswerStaysText) {
  for (const char* text : {"the tag <think> is used by models to think.", "write `</think>` at the end", "end it with \"</think>\".", "the tag </think> ends it", "it ends with </think>.", "<b> and <think>x</think> y",
                           "a </think> b </think> c", "“</think>” closes it", "use (</think>)"})
    EXPECT_EQ(read(text), (Read{"", text, true})) << text;
  EXPECT_EQ(read("<think>hm</think>the tag <think> is one"), (Read{"hm", "the tag <think> is one", true}));
}

TEST(Reasoning, IsReadFromPartsAndFields) {
  EXPECT_EQ(read(Json::parse(R"([{"type":"text","text":"<think>hm</think>a"}])")), (Read{"hm", "a"}));
  EXPECT_EQ(read(Json::parse(R"([{"type":"text","text":"<think>hm"},{"type":"text","text":"so</think>a"}])")), (Read{"hm\n\nso", "a"}));
  EXPECT_EQ(read(Json::parse(R"([{"type":"thinking","thinking":"hm"},{"type":"text","text":"a"}])")), (Read{"hm", "a"}));
  EXPECT_EQ(read(Json::parse(R"([{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}])")), (Read{"hm", "a"}));
  EXPECT_EQ(read(Json::parse(R"([{"type":"reasoning","text":"hm"},"a"])")), (Read{"hm", "a"}));
  for (const char* key : {"reasoning", "thinking", "reasoning_content"}) EXPECT_EQ(read("a", {{key, "hm"}}), (Read{"hm", "a"}));
  EXPECT_EQ(read("<think>hm</think>a", {{"reasoning_content", "hm"}}), (Read{"hm", "a"}));   // the same twice is once
}

TEST(Reasoning, IsRefusedWhereItIsCutOffOrGivenTwice) {
  EXPECT_NE(bad_content("<think>hm").find("the reasoning is cut off"), std::string::npos);
  EXPECT_NE(bad_content("<think>hm</think>a", {{"reasoning_content", "other"}}).find("two different texts of reasoning"), std::string::npos);
  EXPECT_NE(bad_content("a", {{"reasoning_content", {"hm"}}}).find("reasoning_content is array"), std::string::npos);
  EXPECT_NE(bad_content(Json::parse(R"([{"type":"image_url"}])")).find("a part that is not text"), std::string::npos);
}

}  // namespace
}  // namespace temper
