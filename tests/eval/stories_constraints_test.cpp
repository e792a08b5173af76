#include "eval/stories/constraints.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace temper {
namespace {

Json words(std::vector<std::string> list) { return {{"type", "words"}, {"words", list}}; }
Json text(const char* type, const char* value) { return {{"type", type}, {"text", value}}; }

TEST(StorySentences, EndAtAStopBeforeSpaceAndKeepClosingQuotes) {
  EXPECT_EQ(story_sentences("one. two! \"three?\" four... 3.5 is five"),
            (std::vector<std::string>{"one.", "two!", "\"three?\"", "four...", "3.5 is five"}));
  EXPECT_TRUE(story_sentences(" \n").empty());
}

TEST(Satisfies, AsksForWholeWords) {
  EXPECT_TRUE(satisfies("The dog's Needle!", words({"dog", "needle"})));
  EXPECT_FALSE(satisfies("a dogged needle", words({"dog"})));
  EXPECT_FALSE(satisfies("a dog", words({"dog", "needle"})));
}

TEST(Satisfies, CountsSentences) {
  EXPECT_TRUE(satisfies("a. b. c.", {{"type", "max_sentences"}, {"n", 3}}));
  EXPECT_FALSE(satisfies("a. b. c. d", {{"type", "max_sentences"}, {"n", 3}}));
  EXPECT_FALSE(satisfies("", {{"type", "max_sentences"}, {"n", 3}}));
  EXPECT_TRUE(satisfies("a. b", {{"type", "min_sentences"}, {"n", 2}}));
  EXPECT_FALSE(satisfies("once upon a time, in a story about a puppy.", {{"type", "min_sentences"}, {"n", 2}}));
}

TEST(Satisfies, LooksAtBothEnds) {
  EXPECT_TRUE(satisfies("  Once upon a time, x. the end.\n", text("starts_with", "once upon a time")));
  EXPECT_TRUE(satisfies("\"once upon\" he said", text("starts_with", "once upon")));
  EXPECT_FALSE(satisfies("well, once upon a time", text("starts_with", "once upon a time")));
  EXPECT_TRUE(satisfies("x. the end.", text("ends_with", "the end.")));
  EXPECT_TRUE(satisfies("he said \"the end.\"", text("ends_with", "the end.")));
  EXPECT_FALSE(satisfies("the end. not.", text("ends_with", "the end.")));
}

TEST(Satisfies, RefusesUnknownConstraints) { EXPECT_ERROR(satisfies("a", {{"type", "rhyme"}}), ErrorKind::kData, "rhyme"); }

TEST(IsCoherentStory, RejectsLoopsNoiseAndNearSilence) {
  const std::set<std::string, std::less<>> vocabulary = {"once", "there", "was", "a", "dog", "he", "ran", "home", "and", "slept", "the", "cat", "saw", "him"};
  EXPECT_TRUE(is_coherent_story("once there was a dog. he ran home and slept.", "", vocabulary));
  EXPECT_FALSE(is_coherent_story("a dog.", "", vocabulary));
  EXPECT_FALSE(is_coherent_story("once zqx blorp a dog vrnt", "", vocabulary));
  EXPECT_TRUE(is_coherent_story("once there was a needle", "a story with the word needle", vocabulary));
  EXPECT_FALSE(is_coherent_story("he ran home and slept. he ran home and slept. he ran home and slept.", "", vocabulary));
  std::string loop;
  for (int i = 0; i < 20; ++i) loop += "the dog ";
  EXPECT_FALSE(is_coherent_story(loop, "", vocabulary));
}

}  // namespace
}  // namespace temper
