#include "tensor/allocator.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

namespace temper {
namespace {

TEST(CachingAllocator, GivesAFreedBlockToTheNextTensorOfItsSize) {
  at::Tensor a = at::empty({1 << 20}, at::kFloat);
  const void* block = a.data_ptr();
  a.reset();
  EXPECT_EQ(at::empty({1 << 20}, at::kFloat).data_ptr(), block);
}

TEST(CachingAllocator, CountsWhatIsInUseAndItsPeak) {
  reset_allocator_peak();
  const size_t before = allocator_stats().in_use_bytes;
  {
    const at::Tensor a = at::empty({3 << 20}, at::kFloat);
    EXPECT_GE(allocator_stats().in_use_bytes, before + (12 << 20));
  }
  EXPECT_EQ(allocator_stats().in_use_bytes, before);
  EXPECT_GE(allocator_stats().peak_bytes, before + (12 << 20));
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(CachingAllocator, ASmallBlockServesTheNextTensorOfItsSize) {
  for (const int64_t size : {int64_t{100}, int64_t{65536}}) {   // the largest small one rounds up to 64 KiB
    at::empty({size - 60}, at::kByte);
    const AllocatorStats before = allocator_stats();
    const at::Tensor a = at::empty({size - 50}, at::kByte);
    EXPECT_EQ(allocator_stats().n_new, before.n_new);
    EXPECT_EQ(allocator_stats().n_allocations, before.n_allocations + 1);
    const at::Tensor b = at::empty({size - 50}, at::kByte);
    EXPECT_EQ(allocator_stats().n_new, before.n_new + 1);
    EXPECT_NE(a.const_data_ptr(), b.const_data_ptr());
  }
}
#endif

TEST(CachingAllocator, CountsBlocksAndNothingForViewsOfThem) {
  const size_t before = allocator_stats().n_allocations;
  const at::Tensor a = at::empty({8, 2}, at::kFloat), b = at::empty({3}, at::kFloat);
  const at::Tensor row = a[1];
  EXPECT_EQ(allocator_stats().n_allocations, before + 2);
}

}  // namespace
}  // namespace temper
