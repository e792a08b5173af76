#include "rollout/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "support/expect_error.h"

namespace temper {
namespace {

const std::vector<float> kLogits{std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};

std::vector<int64_t> ids_of(const std::vector<Candidate>& kept) {
  std::vector<int64_t> ids;
  for (const Candidate& candidate : kept) ids.push_back(candidate.id);
  return ids;
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowestIdOfATie) {
  EXPECT_EQ(sample_token(kLogits, {.temperature = 0}, 0, 0), 1);
  EXPECT_EQ(sample_token(std::vector<float>{1, 3, 3}, {.temperature = 0}, 0, 0), 1);
}

TEST(Sampler, GreedyFindsTheLargestWhereverItStands) {
  for (size_t at = 0; at < 37; ++at) {
    std::vector<float> logits(37);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = -1.0f - static_cast<float>(i % 7);
    logits[5] = -INFINITY, logits[23] = INFINITY;   // neither can be chosen
    logits[at] = 2.0f;
    if (at + 9 < logits.size()) logits[at + 9] = 2.0f;   // the same again: the lower id counts
    EXPECT_EQ(sample_token(logits, {.temperature = 0}, 0, 0), static_cast<int64_t>(at));
    logits[at] = NAN;
    EXPECT_ERROR(sample_token(logits, {.temperature = 0}, 0, 0), ErrorKind::kNumerics, "NaN");
  }
  EXPECT_ERROR(sample_token(std::vector<float>(20, -INFINITY), {.temperature = 0}, 0, 0), ErrorKind::kNumerics, "finite");
}

TEST(Sampler, DrawsFollowTheSoftmaxAtTheTemperature) {
  // Pearson's chi-square with 3 degrees of freedom: above 16.27 with probability 0.001; the seed is fixed.
  for (const double temperature : {0.5, 1.0, 2.0}) {
    std::vector<double> expected;
    for (const double p : {0.1, 0.4, 0.2, 0.3}) expected.push_back(std::pow(p, 1 / temperature));
    const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
    constexpr int kDraws = 20000;
    std::vector<int> counts(4);
    for (int i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sample_token(kLogits, {.temperature = temperature, .seed = 7}, 3, static_cast<uint64_t>(i)))];
    double chi2 = 0;
    for (size_t i = 0; i < 4; ++i) {
      const double want = kDraws * expected[i] / sum;
      chi2 += (counts[i] - want) * (counts[i] - want) / want;
    }
    EXPECT_LT(chi2, 16.27) << "temperature " << temperature;
  }
}

TEST(Sampler, DrawsOfDifferentRequestsAreIndependent) {
  // Counts of pairs (request 0, request 1) in a 4 x 4 table: chi-square with 15 degrees of freedom, above 37.7 with probability 0.001.
  std::vector<int> counts(16);
  const std::vector<double> p{0.1, 0.4, 0.2, 0.3};
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const auto draw = [&](uint64_t request) { return sample_token(kLogits, {.seed = 1}, request, static_cast<uint64_t>(i)); };
    ++counts[static_cast<size_t>(4 * draw(0) + draw(1))];
  }
  double chi2 = 0;
  for (size_t i = 0; i < 16; ++i) {
    const double want = kDraws * p[i / 4] * p[i % 4];
    chi2 += (counts[i] - want) * (counts[i] - want) / want;
  }
  EXPECT_LT(chi2, 37.7);
}

TEST(Sampler, TopPKeepsTheFewestTokensThatReachIt) {
  EXPECT_EQ(ids_of(candidates(kLogits, {.top_p = 0.39})), (std::vector<int64_t>{1}));
  EXPECT_EQ(ids_of(candidates(kLogits, {.top_p = 0.41})), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(ids_of(candidates(kLogits, {.top_p = 0.71})), (std::vector<int64_t>{1, 3, 2}));
  EXPECT_EQ(ids_of(candidates(kLogits, {})), (std::vector<int64_t>{1, 3, 2, 0}));
  const std::vector<Candidate> kept = candidates(kLogits, {.top_p = 0.6});
  EXPECT_NEAR(kept[0].probability, 0.4 / 0.7, 1e-6);
}

TEST(Sampler, TopKComesBeforeTopP) {
  // Of the best two, 0.4 / 0.7 = 0.571: reaches 0.55 alone, though 0.4 would not.
  EXPECT_EQ(ids_of(candidates(kLogits, {.top_p = 0.55, .top_k = 2})), (std::vector<int64_t>{1}));
  EXPECT_EQ(ids_of(candidates(kLogits, {.top_k = 2})), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(candidates(kLogits, {.top_k = 9}).size(), 4u);
}

TEST(Sampler, ADrawDependsOnSeedRequestAndPositionOnly) {
  const std::vector<float> flat(1000, 0.0f);
  const auto draw = [&](uint64_t seed, uint64_t request, uint64_t position) { return sample_token(flat, {.seed = seed}, request, position); };
  EXPECT_EQ(draw(1, 2, 3), draw(1, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(2, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 3, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 2, 4));
}

TEST(Sampler, RefusesNanAndBadSettings) {
  EXPECT_ERROR(sample_token(std::vector<float>{0, NAN}, {}, 0, 0), ErrorKind::kNumerics, "NaN");
  EXPECT_ERROR(check_sampling({.temperature = -1}, "row 3"), ErrorKind::kConfig, "temperature");
  EXPECT_ERROR(check_sampling({.top_p = 0}, "row 3"), ErrorKind::kConfig, "top_p");
  EXPECT_ERROR(check_sampling({.top_k = -1}, "row 3"), ErrorKind::kConfig, "top_k");
}

}  // namespace
}  // namespace temper
