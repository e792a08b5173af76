// Frequencies against the released models' table; the turn against its inverse.

#include "ops/rope.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include <map>

#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

// Values of the compress table for theta 160000, R 64, factor 16, original length 65536, betas 32 and 1, computed in
// float64 from the YaRN formula independently of this code (Flash and Pro have the same table).
TEST(Rope, YarnFrequenciesAreTheReleasedTable) {
  const std::vector<float> frequencies = rope_frequencies({.rope_head_dim = 64, .theta = 160000, .yarn = Yarn{}});
  ASSERT_EQ(frequencies.size(), 32u);
  const std::map<size_t, double> golden = {{0, 1.0}, {1, 6.876560219e-1}, {15, 3.635538584e-3}, {16, 2.265625e-3}, {20, 2.969777783e-4},
                                           {24, 1.953125e-5}, {25, 5.372312671e-6}, {31, 5.680529037e-7}};
  for (const auto& [i, value] : golden) EXPECT_NEAR(frequencies[i], value, 1e-7 * value) << i;   // fp32: 6e-8
}

TEST(Rope, WithoutYarnFrequenciesArePowersOfTheta) {
  const std::vector<float> frequencies = rope_frequencies({.rope_head_dim = 4, .theta = 10000, .yarn = {}});
  EXPECT_EQ(frequencies, (std::vector<float>{1.0f, 0.01f}));
}

TEST(Rope, TurnsPairsOfTheLastDimsAndBack) {
  const Rotation rotation = make_rotation({.rope_head_dim = 2, .theta = 10000, .yarn = {}}, at::arange(3, at::kLong), at::kDouble);
  const Tensor x = random_tensor({3, 2, 5}, "x", at::kDouble);
  const Tensor turned = rope(x, rotation);
  EXPECT_TRUE(same_bits(turned.narrow(-1, 0, 3), x.narrow(-1, 0, 3)));
  const double a = x[2][1][3].item<double>(), b = x[2][1][4].item<double>();   // position 2, frequency 1: angle 2
  EXPECT_NEAR(turned[2][1][3].item<double>(), a * std::cos(2.0) - b * std::sin(2.0), 1e-15);
  EXPECT_NEAR(turned[2][1][4].item<double>(), a * std::sin(2.0) + b * std::cos(2.0), 1e-15);
  EXPECT_TRUE(close(rope(turned, rotation, /*inverse=*/true), x, 1e-15));
}

}  // namespace
}  // namespace temper
