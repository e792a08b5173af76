#include "train/recovery.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/expect_error.h"

namespace temper {
namespace {

TEST(Recovery, FiniteStepsPass) {
  Recovery recovery(1);
  for (int step = 1; step < 100; ++step) EXPECT_FALSE(recovery.judge(step, 2.0, 1.0, 0.0));
  EXPECT_EQ(recovery.total_skips(), 0);
}

TEST(Recovery, EachKindOfBadNumberIsSkippedWithItsCause) {
  Recovery recovery(10);
  EXPECT_EQ(recovery.judge(1, std::nan(""), 1.0, 0.0), "the loss is nan");
  EXPECT_EQ(recovery.judge(2, 1.0, HUGE_VAL, 0.0), "the gradient's norm is inf");
  EXPECT_EQ(recovery.judge(3, 1.0, 1.0, HUGE_VAL), "the norm of the indexers' gradient is inf");
  EXPECT_EQ(recovery.consecutive_skips(), 3);
}

TEST(Recovery, TooManySkipsInARowStopTheRunAndAGoodStepStartsTheCountAgain) {
  Recovery recovery(2);
  EXPECT_TRUE(recovery.judge(1, std::nan(""), 1, 0));
  EXPECT_TRUE(recovery.judge(2, std::nan(""), 1, 0));
  EXPECT_FALSE(recovery.judge(3, 1.0, 1, 0));
  EXPECT_TRUE(recovery.judge(4, std::nan(""), 1, 0));
  EXPECT_TRUE(recovery.judge(5, std::nan(""), 1, 0));
  EXPECT_ERROR(recovery.judge(6, std::nan(""), 1, 0), ErrorKind::kNumerics, "step 6");
  EXPECT_EQ(recovery.total_skips(), 5);
}

TEST(Recovery, AResumedRunGoesOnCounting) {
  Recovery recovery(2);
  recovery.restore(2, 7);
  EXPECT_ERROR(recovery.judge(9, std::nan(""), 1, 0), ErrorKind::kNumerics, "3 steps in a row");
  EXPECT_EQ(recovery.total_skips(), 8);
}

}  // namespace
}  // namespace temper
