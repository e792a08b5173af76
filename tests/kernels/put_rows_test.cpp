#include "kernels/put_rows.h"

#include <gtest/gtest.h>

#include "support/tensors.h"
#include "tensor/from_list.h"

namespace temper {
namespace {

using namespace test;

TEST(PutRowsKernel, WritesTheRowsAsItsTwinDoes) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const Tensor old = random_tensor({7, 3, 5}, "old").to(dtype), x = random_tensor({4, 3, 5}, "x").to(dtype), rows = tensor_of(std::vector<int64_t>{6, 0, 3, 2});
    const Tensor ours = old.clone(), twin = old.clone(), strided = old.transpose(1, 2).contiguous().transpose(1, 2);
    put_rows(ours, rows, x);
    reference::put_rows(twin, rows, x);
    put_rows(strided, rows, x);
    EXPECT_TRUE(same_bits(ours, twin));
    EXPECT_TRUE(same_bits(strided.contiguous(), twin));
    EXPECT_TRUE(same_bits(ours[1], old[1]));
    EXPECT_TRUE(same_bits(ours[6], x[0]));
  }
}

TEST(PutRowsKernel, RefusesRowsOutsideAndOtherShapes) {
  const Tensor into = random_tensor({3, 4}, "into");
  EXPECT_THROW(put_rows(into, tensor_of(std::vector<int64_t>{3}), random_tensor({1, 4}, "x")), c10::Error);
  EXPECT_THROW(put_rows(into, tensor_of(std::vector<int64_t>{-4}), random_tensor({1, 4}, "x")), c10::Error);
  EXPECT_THROW(put_rows(into, tensor_of(std::vector<int64_t>{0}), random_tensor({1, 5}, "x")), c10::Error);
  EXPECT_THROW(put_rows(into, tensor_of(std::vector<int64_t>{0, 1}), random_tensor({1, 4}, "x")), c10::Error);
}

TEST(PutRowsKernel, NoRowsChangeNothing) {
  const Tensor old = random_tensor({3, 4}, "old"), into = old.clone();
  put_rows(into, tensor_of(std::vector<int64_t>{}), old.narrow(0, 0, 0));
  EXPECT_TRUE(same_bits(into, old));
}

}  // namespace
}  // namespace temper
