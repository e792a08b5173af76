#include <gtest/gtest.h>

#include "eval/ifeval/python_json.h"
#include "eval/text/python_random.h"
#include "eval/text/regex.h"
#include "eval/text/unicode.h"
#include "support/expect_error.h"

namespace temper::text {
namespace {

// Values: CPython 3.11, random.seed(0).
TEST(PythonRandom, DrawsAsCPython) {
  PythonRandom uniform(0), gauss(0), choice(0);
  EXPECT_EQ(uniform.uniform(), 0.8444218515250481);
  EXPECT_EQ(uniform.uniform(), 0.7579544029403025);
  EXPECT_EQ(gauss.gauss(0, 1), 0.9417154046806644);
  EXPECT_EQ(gauss.gauss(0, 1), -1.3965781047011498);
  for (const uint32_t expected : {24u, 48u, 26u, 2u, 16u, 32u}) EXPECT_EQ(choice.below(52), expected);
}

// Values: CPython 3.11.
TEST(Unicode, CaseAndWhiteSpaceAreThoseOfPythonsStr) {
  EXPECT_EQ(lower("ΑΣ ΣΑΣ. ΑΣ'Β Σ"), "ας σας. ασ'β σ");
  EXPECT_EQ(lower("İI ẞ Ⅳ ǅ K"), "i̇i ß ⅳ ǆ k");
  EXPECT_TRUE(all_upper("A-1 Ⅳ"));
  EXPECT_FALSE(all_upper("Aǅ"));   // title case is neither
  EXPECT_FALSE(all_upper("123"));
  EXPECT_TRUE(all_lower("aªⓐ"));
  EXPECT_EQ(strip("\x1c\xc2\x85 x \xe3\x80\x80\n"), "x");
  EXPECT_EQ(strip("\xe2\x80\x8bx"), "\xe2\x80\x8bx");   // zero width space is no white space
  EXPECT_EQ(split_words(" a\xc2\xa0\x1f" "b ").size(), 2u);
}

TEST(Unicode, InvalidBytesBecomeReplacementCharacters) {
  EXPECT_EQ(decode_utf8("a\xff\xc3" "b"), U"a\uFFFD\uFFFDb");
  EXPECT_EQ(encode_utf8(decode_utf8("aé日😀")), "aé日😀");
}

// Values: re of CPython 3.11.
TEST(Regex, FindsWhatPythonFinds) {
  EXPECT_EQ(Regex("a*").count("baac"), 4u);            // '', 'aa', '', ''
  EXPECT_EQ(Regex(R"(^\s*-.*$)", kMultiline).count("- a\n\n-b\n-"), 3u);
  EXPECT_EQ(Regex(R"(\s)").count("\x1c \xc2\x85\xe1\xa0\x8e"), 3u);   // U+180E is not white space
  EXPECT_TRUE(Regex("kelvin", kIgnoreCase).search("\u212aELV\u0130N"));
  EXPECT_TRUE(Regex("[i]x", kIgnoreCase).search("\u0131X"));
  EXPECT_EQ(Regex("a{,2}b").search("aaab")->start(), 1u);
  EXPECT_TRUE(Regex("[[:x]").search(":"));
  EXPECT_FALSE(Regex(R"(a\Z)").search("a\n"));
  EXPECT_TRUE(Regex("a$").search("a\n"));
  EXPECT_EQ(Regex(R"(\s?\*\*\*\s?)").split("a *** b***"), (std::vector<std::string>{"a", "b", ""}));
  EXPECT_EQ(Regex(R"(\w+)").count("naïve café_1 日本 ٣"), 4u);
}

// What a model that loops may write.
TEST(Regex, LongRepetitionsAreMatchedNotRefused) {
  std::string dots, lines(4000, '\n');
  for (int i = 0; i < 20000; ++i) dots += ". ";
  EXPECT_EQ(Regex(R"((?:\.\s){2,}\.)").search(dots)->str().size(), dots.size() - 1);
  EXPECT_EQ(Regex(R"(^\s*-.*$)", kMultiline).count(lines), 0u);
}

TEST(Regex, BrokenExpressionsAreDataErrors) { EXPECT_ERROR(Regex("a(b"), ErrorKind::kData, "a(b"); }

// Values: json.loads of CPython 3.11.
TEST(PythonJson, AcceptsWhatPythonAccepts) {
  for (const char* yes : {"1", "-0", "1e5", "NaN", "-Infinity", " [ ] ", "{\"a\":{}}", "\"\\ud83d\"", "\"\\u00e9\"", "[1,2]"})
    EXPECT_TRUE(python_accepts_json(yes)) << yes;
  for (const char* no : {"", "01", "1.", "+1", "[1,]", "{\"a\":1,}", "{a:1}", "'a'", "\"\t\"", "\"\\x\"", "nan", "[1] 2", "{\"a\" 1}", "\xef\xbb\xbf{}", "\"", "tru"})
    EXPECT_FALSE(python_accepts_json(no)) << no;
  EXPECT_TRUE(python_accepts_json(std::string(4300, '9')));
  EXPECT_FALSE(python_accepts_json(std::string(4301, '9')));
}

}  // namespace
}  // namespace temper::text
