#include "base/process.h"

#include <gtest/gtest.h>

namespace temper {
namespace {

TEST(Process, TheLastCacheHasASizeThatProcessorsHave) {
  EXPECT_GE(last_cache_bytes(), int64_t{1} << 18);
  EXPECT_LE(last_cache_bytes(), int64_t{1} << 34);
}

}  // namespace
}  // namespace temper
