#include "train/recompute_choice.h"

#include <gtest/gtest.h>

namespace temper {
namespace {

// Six blocks; attention saves 10 for 1 FLOP, experts save 30 for 10.
constexpr size_t kBlocks = 6;

std::vector<RecomputeCandidate> candidates() {
  std::vector<RecomputeCandidate> all;
  for (size_t block = 0; block < kBlocks; ++block) {
    all.push_back({.block = block, .ffn = false, .flops = 1, .saved_bytes = 10});
    all.push_back({.block = block, .ffn = true, .flops = 10, .saved_bytes = 30});
  }
  return all;
}

int saved(const RecomputePolicies& policies) {
  int bytes = 0;
  for (const RecomputePolicy& policy : policies) bytes += (policy.attention ? 10 : 0) + (policy.ffn ? 30 : 0);
  return bytes;
}

int flops(const RecomputePolicies& policies) {
  int sum = 0;
  for (const RecomputePolicy& policy : policies) sum += (policy.attention ? 1 : 0) + (policy.ffn ? 10 : 0);
  return sum;
}

std::optional<RecomputePolicies> choose(int needed) {
  return choose_recompute(kBlocks, candidates(), [&](const RecomputePolicies& policies) { return saved(policies) >= needed; });
}

TEST(ChooseRecompute, NothingWhereEverythingFits) { EXPECT_EQ(*choose(0), RecomputePolicies(kBlocks)); }

TEST(ChooseRecompute, TakesTheKindThatSavesMostForItsFlopsAndTheFirstBlocks) {
  const RecomputePolicies policies = *choose(25);
  for (size_t block = 0; block < kBlocks; ++block) {
    EXPECT_EQ(policies[block].attention, block < 3) << block;
    EXPECT_FALSE(policies[block].ffn);
  }
}

// 90 = three experts for 30 FLOPs, or six attentions and one expert for 16: all 4^6 policies are tried.
TEST(ChooseRecompute, NoPolicyThatFitsIsCheaper) {
  for (const int needed : {10, 60, 65, 90, 100, 150, 235, 240}) {
    int least = 1 << 20;
    for (int code = 0; code < 1 << (2 * kBlocks); ++code) {
      RecomputePolicies policies(kBlocks);
      for (size_t block = 0; block < kBlocks; ++block) policies[block] = {.attention = (code >> (2 * block) & 1) != 0, .ffn = (code >> (2 * block + 1) & 1) != 0};
      if (saved(policies) >= needed) least = std::min(least, flops(policies));
    }
    const auto chosen = choose(needed);
    ASSERT_TRUE(chosen.has_value());
    EXPECT_GE(saved(*chosen), needed);
    EXPECT_EQ(flops(*chosen), least) << needed;
  }
}

TEST(ChooseRecompute, NothingIsEnough) { EXPECT_FALSE(choose(241).has_value()); }

}  // namespace
}  // namespace temper
