#include "base/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace temper {
namespace {

TEST(Process, TheLastCacheHasASizeThatProcessorsHave) {
  EXPECT_GE(last_cache_bytes(), int64_t{1} << 18);
  EXPECT_LE(last_cache_bytes(), int64_t{1} << 34);
}

TEST(Process, WhatIsAvailableIsMoreThanNothingAndNoMoreThanTheMachineHas) {
  EXPECT_GT(available_bytes(), 0);
  EXPECT_LE(available_bytes(), static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE));
}

}  // namespace
}  // namespace temper
