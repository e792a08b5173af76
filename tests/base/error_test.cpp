#include "base/error.h"

#include <gtest/gtest.h>

namespace temper {
namespace {

TEST(Error, PrintsFourLinesWithKindPlaceFixAndCode) {
  const Error error({.kind = ErrorKind::kData, .what = "row is empty", .where = "a.jsonl:3", .fix = "remove it"});
  EXPECT_EQ(std::string(error.what()).find("data error: row is empty\n  where: a.jsonl:3\n  fix:   remove it\n  code:  "), 0u) << error.what();
  EXPECT_EQ(error.exit_code(), 3);
}

TEST(Error, ExitCodesFollowTheOrderOfTheKinds) {
  EXPECT_EQ(static_cast<int>(ErrorKind::kConfig), 2);
  EXPECT_EQ(static_cast<int>(ErrorKind::kInternal), 8);
}

TEST(WhileDoing, JoinsTheWhereOfErrorsInsideItAndOnlyThere) {
  const auto where = [] { return Error({.kind = ErrorKind::kInternal, .what = "x", .where = "f", .fix = "y"}).parts().where; };
  {
    const WhileDoing step("step 12");
    const WhileDoing layer("loading layer 3");
    EXPECT_EQ(where(), "f, while step 12 > loading layer 3");
  }
  EXPECT_EQ(where(), "f");
}

}  // namespace
}  // namespace temper
