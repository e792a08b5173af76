#include "data/turn_weight.h"

#include <gtest/gtest.h>

#include "data/python_json.h"
#include "data/rows_for_tests.h"

namespace temper {
namespace {

Json json(const std::string& text) { return *parse_python_json(text); }

TEST(TurnWeight, ReadsEachSpellingOfTrainedAndNotTrained) {
  for (const char* no : {R"({"weight":0})", R"({"weight":0.0})", R"({"weight":false})", R"({"weight":"0"})", R"({"loss":false})", R"({"loss":0})", R"({"loss":"false"})", R"({"loss":" False "})",
                         R"({"train":false})", R"({"train":0})", R"({"train":"no"})", R"({"train":"off"})", R"({"mask":true})", R"({"mask":1})", R"({"mask":"true"})", R"({"mask":"1"})",
                         R"({"weight":0,"mask":1,"loss":false,"train":false})"}) {
    EXPECT_EQ(weight_flags(json(no)).weight, 0.0f) << no;
    EXPECT_EQ(weight_flags(json(no)).problem, "") << no;
  }
  for (const char* yes : {R"({"weight":1})", R"({"loss":true})", R"({"loss":"True"})", R"({"train":"yes"})", R"({"mask":0})", R"({"mask":"false"})", R"({"weight":1,"mask":false,"loss":1,"train":true})"})
    EXPECT_EQ(weight_flags(json(yes)).weight, 1.0f) << yes;
  for (const char* nothing : {R"({})", R"({"weight":null,"loss":null})", R"({"content":"x"})"}) EXPECT_FALSE(weight_flags(json(nothing)).weight.has_value()) << nothing;
}

TEST(TurnWeight, GradesTheLossByNumbers) {
  EXPECT_EQ(weight_flags(json(R"({"weight":0.5})")).weight, 0.5f);
  EXPECT_EQ(weight_flags(json(R"({"loss":"0.25"})")).weight, 0.25f);
  EXPECT_EQ(weight_flags(json(R"({"weight":2})")).weight, 2.0f);
  EXPECT_EQ(weight_flags(json(R"({"weight":0.5,"train":true,"loss":true,"mask":false})")).weight, 0.5f);
}

TEST(TurnWeight, RefusesFlagsThatContradictEachOtherOrAreNone) {
  for (const char* contradiction : {R"({"weight":0,"train":true})", R"({"mask":1,"loss":true})", R"({"weight":0.5,"loss":0.25})", R"({"weight":0.5,"mask":1})", R"({"train":true,"mask":true})", R"({"loss":0.5,"train":false})"})
    EXPECT_NE(weight_flags(json(contradiction)).problem.find("say different things"), std::string::npos) << contradiction;
  for (const char* none : {R"({"weight":-1})", R"({"weight":1e400})", R"({"weight":NaN})", R"({"weight":"much"})", R"({"weight":[1]})", R"({"weight":1e39})", R"({"weight":123456789012345678901234567890})",
                           R"({"train":0.5})", R"({"train":2})", R"({"mask":0.5})", R"({"mask":[0,1]})", R"({"loss":{"a":1}})", R"({"train":""})"})
    EXPECT_NE(weight_flags(json(none)).problem.find("it must be"), std::string::npos) << none;
  EXPECT_NE(weight_flags(json(R"({"weight":1e-60})")).problem.find("would count as 0"), std::string::npos);
}

TEST(TurnWeight, KnowsKeysThatLookLikeFlags) {
  for (const char* key : {"trainable", "loss_weight", "train_detail", "masked", "no_loss", "step_loss_mask", "loss_mask", "lossMask", "doNotTrain", "training", "Train", "loss_scale", "include_in_loss", "learn", "is-trained"}) {
    const Json turn = {{"role", "assistant"}, {key, 0}};
    EXPECT_EQ(unread_flag_of_turn(turn), key);
    EXPECT_EQ(unread_flag_of_row(turn), key);
    EXPECT_EQ(unread_flag_of_turn({{key, nullptr}}), "");   // how tables fill the columns that a row lacks
  }
  for (const char* key : {"id", "timestamp", "name", "score", "brain", "restrain", "lossless", "tool_calls", "reasoning_content", "weight", "loss", "train", "mask"}) EXPECT_EQ(unread_flag_of_turn({{key, 0}}), "") << key;
  for (const char* key : {"train_id", "weight_kg", "training_source", "mask_history", "source", "step"}) EXPECT_EQ(unread_flag_of_row({{key, 0}}), "") << key;
}

float weight_of(const Json& message) { return weight_flags(message).weight.value_or(1.0f); }

TEST(TurnWeight, CountsInMessagesAndInShareGptTurns) {
  for (const char* flag : {R"("weight":0)", R"("loss":false)", R"("train":"false")", R"("mask":1)"}) {
    const std::string f = flag;
    const Json openai = convert(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"bad",)" + f + R"(},{"role":"user","content":"r"},{"role":"assistant","content":"a"}]})").messages;
    const Json sharegpt = convert(R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"bad",)" + f + R"(},{"from":"human","value":"r"},{"from":"gpt","value":"a"}]})").messages;
    const Json pairs = convert(R"({"conversation":[{"human":"q","assistant":"bad",)" + f + R"(},{"human":"r","assistant":"a"}]})").messages;
    for (const Json* messages : {&openai, &sharegpt, &pairs}) {
      EXPECT_EQ(weight_of((*messages)[1]), 0.0f) << flag << *messages;
      EXPECT_EQ(weight_of((*messages)[3]), 1.0f) << flag << *messages;
    }
  }
}

TEST(TurnWeight, OfOtherRolesIsNotedIfItAsksForTraining) {
  const auto row = [](const std::string& flag) { return R"({"messages":[{"role":"user","content":"q",)" + flag + R"(},{"role":"assistant","content":"a"}]})"; };
  EXPECT_EQ(convert(row(R"("train":true)")).notes, std::vector{RowNote::kFlagNotOnAnswer});
  EXPECT_EQ(convert(row(R"("weight":1)")).notes, std::vector{RowNote::kFlagNotOnAnswer});
  EXPECT_TRUE(convert(row(R"("train":false)")).notes.empty());
  EXPECT_NE(bad_reason(row(R"("train":"maybe")")).find("message 1 (user): \"train\": \"maybe\": it must be true or false"), std::string::npos);
}

TEST(TurnWeight, OfARowCountsForAllItsAnswers) {
  const auto row = [](const std::string& flag) { return R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","weight":0.5},{"role":"user","content":"r"},{"role":"assistant","content":"b","weight":0}],)" + flag + "}"; };
  EXPECT_EQ(weight_of(convert(row(R"("weight":0.5)")).messages[1]), 0.25f);
  EXPECT_EQ(weight_of(convert(row(R"("weight":0.5)")).messages[3]), 0.0f);
  EXPECT_EQ(weight_of(convert(row(R"("train":true)")).messages[1]), 0.5f);
  EXPECT_NE(bad_reason(row(R"("train":false)")).find("all are marked so"), std::string::npos);
  EXPECT_NE(bad_reason(row(R"("loss_mask":[0,1])")).find("\"loss_mask\" looks like a flag of training, but is not read"), std::string::npos);
  EXPECT_NE(bad_reason(row(R"("loss":2.31)")).find("rename the key"), std::string::npos);
  EXPECT_EQ(convert(R"({"text":"t","weight":0.5})").text_weight, 0.5f);
}

TEST(TurnWeight, MaskHistoryInARowTrainsTheLastAnswerOnly) {
  const Json messages = convert(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"r"},{"role":"assistant","content":"b"}],"mask_history":true})").messages;
  EXPECT_EQ(weight_of(messages[1]), 0.0f);
  EXPECT_EQ(weight_of(messages[3]), 1.0f);
}

TEST(TurnWeight, KeysOfTurnsThatLookLikeFlagsAreRefusedWithTheSpellingToUse) {
  const std::string reason = bad_reason(R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a","train_detail":[{"begin_offset":0,"end_offset":1,"train":false}]}]})");
  EXPECT_EQ(reason, "turn 2: \"train_detail\" looks like a flag of training, but is not read; use weight (a number), loss or train (true or false), or mask (true = not trained)");
}

}  // namespace
}  // namespace temper
