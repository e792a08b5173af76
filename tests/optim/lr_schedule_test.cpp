#include "optim/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace temper {
namespace {

LrScheduleConfig schedule(const char* kind, int64_t warmup = 0) {
  LrScheduleConfig c;
  c.kind = kind;
  c.lr = 1.0;
  c.min_ratio = 0.1;
  c.warmup_steps = warmup;
  return c;
}

// All expected values by hand from the definition in the header.
TEST(LrSchedule, WarmUpGrowsInEqualStepsAndReachesThePeak) {
  for (const char* kind : {"constant", "linear", "cosine", "wsd"})
    for (int64_t s = 0; s < 4; ++s) EXPECT_DOUBLE_EQ(learning_rate(schedule(kind, 4), s, 100), (s + 1) / 4.0) << kind;
}

TEST(LrSchedule, ConstantStays) { EXPECT_EQ(learning_rate(schedule("constant"), 99, 100), 1.0); }

TEST(LrSchedule, LinearFallsEvenlyToTheFloor) {
  EXPECT_DOUBLE_EQ(learning_rate(schedule("linear"), 0, 11), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(schedule("linear"), 5, 11), 0.55);
  EXPECT_DOUBLE_EQ(learning_rate(schedule("linear"), 10, 11), 0.1);
}

TEST(LrSchedule, CosineIsHalfWayInTheMiddleAndEndsAtTheFloor) {
  EXPECT_DOUBLE_EQ(learning_rate(schedule("cosine"), 5, 11), 0.55);
  EXPECT_NEAR(learning_rate(schedule("cosine"), 2, 9), 0.1 + 0.9 * 0.5 * (1 + std::sqrt(0.5)), 1e-15);
  EXPECT_DOUBLE_EQ(learning_rate(schedule("cosine"), 10, 11), 0.1);
}

TEST(LrSchedule, WsdHoldsThenDecaysOverItsFraction) {
  const auto c = schedule("wsd", 10);
  for (const int64_t s : {10, 50, 79}) EXPECT_EQ(learning_rate(c, s, 100), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(c, 89, 100), 0.55);
  EXPECT_DOUBLE_EQ(learning_rate(c, 99, 100), 0.1);
}

TEST(LrSchedule, StepsPastTheEndAndSingleStepRunsAreDefined) {
  EXPECT_DOUBLE_EQ(learning_rate(schedule("cosine"), 500, 100), 0.1);
  EXPECT_EQ(learning_rate(schedule("cosine"), 0, 1), 1.0);
  EXPECT_EQ(learning_rate(schedule("wsd"), 0, 1), 1.0);
}

}  // namespace
}  // namespace temper
