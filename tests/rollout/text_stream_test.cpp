#include "rollout/text_stream.h"

#include <gtest/gtest.h>

namespace temper {
namespace {

TEST(TextStream, ShowsOnlyWholeCharacters) {
  TextStream stream;
  const std::string euro = "\xE2\x82\xAC";
  EXPECT_EQ(stream.push("a" + euro.substr(0, 1)), "a");
  EXPECT_EQ(stream.push(euro.substr(1, 1)), "");
  EXPECT_EQ(stream.push(euro.substr(2) + "b"), euro + "b");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, ReplacesWhatCannotBecomeACharacter) {
  TextStream stream;
  EXPECT_EQ(stream.push("\xFFz"), "\xEF\xBF\xBDz");
  EXPECT_EQ(stream.push("\xE2\x82"), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");   // unfinished at the end: one replacement for the whole beginning
}

TEST(TextStream, RejectsSurrogatesOverlongFormsAndTooLargeValues) {
  // Each invalid byte run becomes one U+FFFD per maximal subpart (Unicode 15, section 3.9, table 3-8).
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(valid_utf8("\xC0\xAF"), r + r);
  EXPECT_EQ(valid_utf8("\xF4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(valid_utf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"), "a" + r + r + r + "b" + r + "c" + r + r + "d");
}

TEST(TextStream, StopsAtAStringThatSpansTokensAndNeverShowsItsBeginning) {
  TextStream stream({"STOP"});
  EXPECT_EQ(stream.push("one S"), "one ");
  EXPECT_EQ(stream.push("T"), "");
  EXPECT_EQ(stream.push("ILL ST"), "STILL ");
  EXPECT_EQ(stream.push("OP and more"), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.text(), "one STILL ");
  EXPECT_EQ(stream.push("ignored"), "");
}

TEST(TextStream, TakesTheEarliestOfSeveralStopStrings) {
  TextStream stream({"bb", "abb"});
  stream.push("xabb");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.text(), "x");
}

TEST(TextStream, ShowsAHeldBackBeginningAtTheEnd) {
  TextStream stream({"STOP"});
  EXPECT_EQ(stream.push("ST"), "");
  EXPECT_EQ(stream.finish(), "ST");
}

}  // namespace
}  // namespace temper
