#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace temper {
namespace {

constexpr size_t kPage = Arena::kGranule;

TEST(Arena, TakesTheSmallestRangeThatHoldsABlockAndLeavesTheRestFree) {
  Arena arena;
  const size_t a = arena.take(8 * kPage), wall = arena.take(1), b = arena.take(3 * kPage), wall2 = arena.take(1);
  EXPECT_EQ(arena.extent(), 13 * kPage);
  arena.give(a);
  arena.give(b);
  EXPECT_EQ(arena.take(2 * kPage), b);               // of 8 and 3 pages
  EXPECT_EQ(arena.take(kPage), b + 2 * kPage);       // the rest of it
  EXPECT_EQ(arena.take(7 * kPage), a);
  EXPECT_EQ(arena.extent(), 13 * kPage);
  arena.give(wall);
  EXPECT_EQ(arena.take(2 * kPage), a + 7 * kPage);   // one page of each neighbour
  arena.give(wall2);
  EXPECT_EQ(arena.take(5 * kPage), wall2);           // the last range grows
  EXPECT_EQ(arena.extent(), 17 * kPage);
}

TEST(Arena, TakesAGrowthBack) {
  Arena arena;
  arena.take(4 * kPage);
  const size_t before = arena.extent(), block = arena.take(10 * kPage);
  arena.give(block);
  arena.cut(before);
  EXPECT_EQ(arena.extent(), before);
  EXPECT_EQ(arena.take(kPage), before);
}

// Against a map of pages: blocks never overlap, and what is free is exactly what is not in use.
TEST(Arena, BlocksNeverOverlap) {
  Arena arena;
  const RandomStream random(1, "arena test");
  std::vector<int> owner;   // of each page, 0 = free
  struct Block {
    size_t offset, pages;
    int id;
  };
  std::vector<Block> blocks;
  for (uint64_t i = 0; i < 4000; ++i) {
    if (!blocks.empty() && random.below(3 * i, 100) < 48) {
      const size_t victim = random.below(3 * i + 1, blocks.size());
      for (size_t p = 0; p < blocks[victim].pages; ++p) owner[blocks[victim].offset / kPage + p] = 0;
      EXPECT_EQ(arena.give(blocks[victim].offset), blocks[victim].pages * kPage);
      blocks.erase(blocks.begin() + static_cast<int64_t>(victim));
    } else {
      const size_t pages = 1 + random.below(3 * i + 2, 40);
      const Block block{arena.take(pages * kPage), pages, static_cast<int>(i) + 1};
      owner.resize(std::max(owner.size(), block.offset / kPage + pages), 0);
      for (size_t p = 0; p < pages; ++p) {
        ASSERT_EQ(owner[block.offset / kPage + p], 0);
        owner[block.offset / kPage + p] = block.id;
      }
      blocks.push_back(block);
    }
  }
  size_t n_used = 0, n_free = 0;
  for (const int id : owner) n_used += id != 0;
  arena.for_each_free([&](size_t offset, size_t bytes) {
    n_free += bytes / kPage;
    for (size_t p = 0; p < bytes / kPage; ++p) ASSERT_EQ(owner[offset / kPage + p], 0);
  });
  EXPECT_EQ(arena.in_use(), n_used * kPage);
  EXPECT_EQ(arena.extent(), (n_used + n_free) * kPage);
}

}  // namespace
}  // namespace temper
