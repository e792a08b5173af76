#include "base/rng.h"

#include <gtest/gtest.h>

namespace temper {
namespace {

// Known answers published with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, AgreesWithThePublishedVectors) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, DependsOnSeedNameStepAndIndexOnly) {
  const RandomStream a(1, "x", 5), same(1, "x", 5);
  EXPECT_EQ(a.bits(7), same.bits(7));
  EXPECT_NE(a.bits(7), a.bits(8));
  EXPECT_NE(a.bits(7), RandomStream(2, "x", 5).bits(7));
  EXPECT_NE(a.bits(7), RandomStream(1, "y", 5).bits(7));
  EXPECT_NE(a.bits(7), RandomStream(1, "x", 6).bits(7));
}

TEST(RandomStream, NormalHasMeanZeroAndVarianceOne) {
  const RandomStream stream(3, "normal");
  constexpr int kSamples = 100000;   // standard error of the mean 0.0032, of the variance 0.0045
  double sum = 0, squares = 0;
  for (int i = 0; i < kSamples; ++i) {
    const double x = stream.normal(i);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kSamples, 0.0, 0.013);
  EXPECT_NEAR(squares / kSamples, 1.0, 0.018);
}

TEST(RandomStream, BelowStaysInRangeAndReachesEveryValue) {
  const RandomStream stream(3, "below");
  std::array<int, 7> seen{};
  for (int i = 0; i < 1000; ++i) ++seen.at(stream.below(i, 7));
  for (const int n : seen) EXPECT_GT(n, 80);
}

}  // namespace
}  // namespace temper
