#include "base/console.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "base/json_checks.h"
#include "support/expect_error.h"

namespace temper {
namespace {

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\x1b]0;title\a\x7f\r\n\t"), "a\\x1b]0;title\\x07\\x7f\\x0d\\x0a\\x09");
  EXPECT_EQ(printable("a\n\tb\r", "\n\t"), "a\n\tb\\x0d");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xc2\x9b" "31m"), "\\u009b31m");                    // CSI as one character of C1
  EXPECT_EQ(printable("\x9b" "31m\xff"), "\\x9b31m\\xff");                 // and as a byte of no character
  EXPECT_EQ(printable("a\u202eb\u2066c\u2028"), "a\\u202eb\\u2066c\\u2028");
  EXPECT_EQ(printable("\u00a0\u00e9\u4e2d\U0001F600 \u200d \\x1b"), "\u00a0\u00e9\u4e2d\U0001F600 \u200d \\x1b");
}

TEST(Shortened, SaysHowManyBytesAreLeftOut) {
  EXPECT_EQ(shortened(std::string(1000, 'x')), std::string(1000, 'x'));
  const std::string text = shortened("begin" + std::string(1'000'000, 'x') + "end", 20);
  EXPECT_EQ(text, "beginxxxxx [... 999988 bytes left out ...] xxxxxxxend");
  for (size_t most = 2; most < 40; ++most) EXPECT_EQ(printable(shortened("\u4e2d\u6587\u4e2d\u6587\u4e2d\u6587\u4e2d\u6587\u4e2d\u6587\u4e2d\u6587\u4e2d\u6587", most)).find("\\x"), std::string::npos);
}

TEST(Error, ShowsNamesFromFilesWithoutTheirControlCharacters) {
  const Error error({.kind = ErrorKind::kData, .what = std::string("name\0rest\x1b[31m", 13), .where = "a\nwhere: forged", .fix = std::string(50'000, 'y')});
  const std::string text = error.what();
  EXPECT_NE(text.find("name\\x00rest\\x1b[31"), std::string::npos) << text;
  EXPECT_NE(text.find("a\\x0awhere: forged"), std::string::npos) << text;
  EXPECT_LT(text.size(), 3000u);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_EQ(error.parts().where, "a\nwhere: forged");   // records keep the exact text
}

TEST(Error, WithoutAPlaceNamesTheCommand) {
  set_program_place("temper generate");
  EXPECT_NE(std::string(Error({.kind = ErrorKind::kResource, .what = "x", .where = "", .fix = "y"}).what()).find("where: temper generate"), std::string::npos);
  set_program_place("temper");
}

TEST(Json, NestedTooDeepIsRefusedBeforeTheLibrarySeesIt) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_ERROR(parse_json(deep, "config.json"), ErrorKind::kData, "nested 100000 deep");
  EXPECT_ERROR(parse_json(std::string(600, '['), "config.json"), ErrorKind::kData, "where: config.json");
  EXPECT_FALSE(try_parse_json(deep));
  EXPECT_EQ(json_depth(R"({"a": "[[[[\"[[", "b": [[1]]})"), 3);
  std::string most(kMaxJsonDepth, '[');
  EXPECT_TRUE(try_parse_json(most + std::string(kMaxJsonDepth, ']')));
}

}  // namespace
}  // namespace temper
