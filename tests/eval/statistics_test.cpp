#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace temper {
namespace {

// Published or independently computed values: McNemar, Wilson, pass@k and Bradley-Terry by scipy and by hand (rounded as given).
TEST(McNemar, ExactValues) {
  EXPECT_NEAR(mcnemar_exact(12, 25), 0.047031, 5e-7);
  EXPECT_NEAR(mcnemar_exact(5, 15), 0.041389, 5e-7);
  EXPECT_NEAR(mcnemar_exact(0, 6), 0.03125, 1e-12);
  EXPECT_EQ(mcnemar_exact(10, 10), 1.0);
  EXPECT_EQ(mcnemar_exact(0, 0), 1.0);
}

TEST(Wilson, IntervalsOfRareEvents) {
  const Interval none = wilson_interval(0, 250), two = wilson_interval(2, 250);
  EXPECT_EQ(none.low, 0.0);
  EXPECT_NEAR(none.high, 0.01513, 5e-6);
  EXPECT_NEAR(two.low, 0.00220, 5e-6);
  EXPECT_NEAR(two.high, 0.02870, 1e-5);   // the source rounds z to 1.96
  EXPECT_EQ(wilson_interval(7, 7).high, 1.0);
}

TEST(PassAtK, UnbiasedEstimates) {
  EXPECT_NEAR(pass_at_k(16, 3, 1), 0.1875, 1e-12);
  EXPECT_NEAR(pass_at_k(16, 3, 4), 0.607143, 5e-7);
  EXPECT_NEAR(pass_at_k(16, 3, 8), 0.9, 1e-12);
  EXPECT_EQ(pass_at_k(4, 3, 2), 1.0);
}

TEST(BradleyTerry, EloOfThreePlayers) {
  const std::vector<double> elo = bradley_terry_elo({{0, 7, 8}, {3, 0, 6}, {2, 4, 0}});
  EXPECT_NEAR(elo[0], 128.65, 0.005);
  EXPECT_NEAR(elo[1], -25.90, 0.005);
  EXPECT_NEAR(elo[2], -102.75, 0.005);
}

std::vector<Cluster> singles(int ones, int zeros) {
  std::vector<Cluster> all(ones, Cluster{1, 1});
  all.resize(ones + zeros, Cluster{0, 1});
  return all;
}

TEST(Bootstrap, OfARateIsCloseToItsNormalInterval) {
  const Interval interval = bootstrap_mean(singles(300, 700));
  const double half = 1.96 * std::sqrt(0.3 * 0.7 / 1000);   // 0.0284
  EXPECT_NEAR(interval.low, 0.3 - half, 0.002);
  EXPECT_NEAR(interval.high, 0.3 + half, 0.002);
}

TEST(Bootstrap, ClustersWidenTheInterval) {
  // The same 100 outcomes, once alone and once as 10 rows that agree within themselves.
  std::vector<Cluster> rows(5, Cluster{10, 10});
  rows.resize(10, Cluster{0, 10});
  const Interval alone = bootstrap_mean(singles(50, 50)), clustered = bootstrap_mean(rows);
  EXPECT_GT(clustered.high - clustered.low, 2.5 * (alone.high - alone.low));   // sqrt(10) in theory
}

TEST(PairedBootstrap, IsNarrowerThanUnpairedWhereRowsAgree) {
  // 500 equal pairs, 30 gained, 10 lost among 1,000: the difference 0.02 has standard error sqrt(40 - 0.4) / 1000 = 0.0063.
  std::vector<Cluster> before = singles(500, 500), after = before;
  for (int i = 0; i < 10; ++i) after[i].sum = 0;
  for (int i = 500; i < 530; ++i) after[i].sum = 1;
  const PairedDifference d = paired_bootstrap(before, after);
  EXPECT_NEAR(d.value, 0.02, 1e-12);
  EXPECT_NEAR(d.interval.low, 0.02 - 1.96 * 0.0063, 0.001);
  EXPECT_NEAR(d.interval.high, 0.02 + 1.96 * 0.0063, 0.001);
  EXPECT_NEAR(d.lower, 0.02 - 1.645 * 0.0063, 0.001);
}

TEST(PairedBootstrap, OfEqualEvaluationsIsZero) {
  const PairedDifference d = paired_bootstrap(singles(3, 4), singles(3, 4));
  EXPECT_EQ(d.value, 0);
  EXPECT_EQ(d.interval.low, 0);
  EXPECT_EQ(d.interval.high, 0);
}

}  // namespace
}  // namespace temper
