#include "data/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/rng.h"

namespace temper {
namespace {

std::vector<int64_t> count_to(int64_t n) {
  std::vector<int64_t> list(n);
  std::iota(list.begin(), list.end(), int64_t{0});
  return list;
}

TEST(PackBestFit, FillsTheTightestRow) {
  // By hand: 6 and 5 open rows with 4 and 5 left; 4 goes to the row with 4 left, 3 to the other, 2 joins the 3.
  const std::vector<int64_t> lengths = {2, 6, 4, 3, 5};
  const auto rows = pack_best_fit(count_to(5), [&](int64_t i) { return lengths[i]; }, 10);
  EXPECT_EQ(rows, (std::vector<PackedRow>{{1, 2}, {4, 3, 0}}));
}

TEST(PackBestFit, KeepsEverySampleOnceAndStaysWithinTheBound) {
  for (int round = 0; round < 30; ++round) {
    const RandomStream random(round, "lengths");
    const int64_t n = 1 + random.below(0, 400), capacity = 64;
    std::vector<int64_t> lengths(n);
    for (int64_t i = 0; i < n; ++i) lengths[i] = 1 + static_cast<int64_t>(random.below(i + 1, capacity));
    const auto rows = pack_best_fit(count_to(n), [&](int64_t i) { return lengths[i]; }, capacity);
    std::vector<int64_t> seen;
    int64_t total = 0;
    for (const PackedRow& row : rows) {
      int64_t used = 0;
      for (const int64_t sample : row) used += lengths[sample];
      EXPECT_LE(used, capacity);
      total += used;
      seen.insert(seen.end(), row.begin(), row.end());
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, count_to(n));
    // Johnson et al. 1974: at most 11/9 of the optimum, which is at least total / capacity rounded up.
    const int64_t least = (total + capacity - 1) / capacity;
    int64_t big = 0;   // samples over half a row can never share one
    for (const int64_t length : lengths) big += 2 * length > capacity;
    EXPECT_LE(static_cast<int64_t>(rows.size()), std::max(least, big) * 11 / 9 + 4);
  }
}

}  // namespace
}  // namespace temper
