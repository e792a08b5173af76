#include "optim/grad_clip.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace temper {
namespace {

double sum_of_squares(const Tensor& t) { return sums_of_squares({t})[0]; }

TEST(GradClip, SumsSquaresExactlyWhereFloatWouldNot) {
  // 1e6 ones and one 1e4: 1e6 + 1e8, by hand; every size around the lanes and chunks of the kernel.
  Tensor t = at::full({1000001}, 1.0f);
  t[500000] = 1e4f;
  EXPECT_EQ(sum_of_squares(t), 1e6 + 1e8);
  for (const int64_t size : {0, 1, 15, 16, 17, 16384, 16385}) EXPECT_EQ(sum_of_squares(at::full({size}, 2.0f)), 4.0 * size);
  EXPECT_EQ(sum_of_squares(at::full({3}, 3e38f)), 3 * std::pow(static_cast<double>(3e38f), 2));
}

TEST(GradClip, TheSumDoesNotDependOnThreads) {
  Tensor t = at::zeros({100003});
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<float>()[i] = std::sin(static_cast<float>(i));
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const double one = sum_of_squares(t);
  at::set_num_threads(3);
  EXPECT_EQ(sum_of_squares(t), one);
  at::set_num_threads(before);
}

TEST(GradClip, SumsEachTensorOfAListAlone) {
  const std::vector<double> sums = sums_of_squares({at::full({40000}, 1.0f), at::full({0}, 1.0f), at::full({3}, 2.0f), at::full({5}, 1.0, at::kDouble)});
  EXPECT_EQ(sums, (std::vector<double>{40000, 0, 12, 5}));
}

TEST(GradClip, ASingleBadElementIsSeen) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    for (const int64_t at : {0, 16383, 16384, 19999}) {
      Tensor t = at::zeros({20000});
      t[at] = bad;
      EXPECT_FALSE(std::isfinite(sum_of_squares(t)));
    }
}

TEST(GradClip, FactorBringsTheNormToTheBoundAndNeverRaisesIt) {
  EXPECT_EQ(clip_factor(4.0, 1.0), 0.25);
  EXPECT_EQ(clip_factor(0.5, 1.0), 1.0);
  EXPECT_EQ(clip_factor(0.0, 1.0), 1.0);
  EXPECT_EQ(clip_factor(1e9, 0.0), 1.0);
}

}  // namespace
}  // namespace temper
