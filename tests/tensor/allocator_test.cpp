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

TEST(CachingAllocator, CountsBlocksAndNothingForViewsOfThem) {
  const size_t before = allocator_stats().n_allocations;
  const at::Tensor a = at::empty({8, 2}, at::kFloat), b = at::empty({3}, at::kFloat);
  const at::Tensor row = a[1];
  EXPECT_EQ(allocator_stats().n_allocations, before + 2);
}

}  // namespace
}  // namespace temper
