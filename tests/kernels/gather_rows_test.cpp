// Rows by index: the kernel against its twin.

#include "kernels/gather_rows.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

TEST(GatherRows, IsItsTwinForEveryShapeAndType) {
  const Tensor rows = at::tensor({4, 0, 4, 2, 1}, at::kLong);
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
    for (const Shape& shape : {Shape{5}, Shape{5, 1}, Shape{5, 33}, Shape{5, 3, 7}, Shape{5, 0}, Shape{5, 20000}}) {
      const Tensor x = random_tensor(shape, "x", dtype);
      EXPECT_TRUE(same_bits(gather_rows(x, rows), reference::gather_rows(x, rows))) << shape_text(shape);
    }
  const Tensor ids = at::arange(60, at::kLong).view({6, 10}), strided = random_tensor({8, 5}, "x").t();
  EXPECT_TRUE(same_bits(gather_rows(ids, rows), reference::gather_rows(ids, rows)));
  EXPECT_TRUE(same_bits(gather_rows(strided, rows), reference::gather_rows(strided, rows)));
  EXPECT_EQ(gather_rows(ids, rows.narrow(0, 0, 0)).sizes(), (Shape{0, 10}));
}

TEST(GatherRows, RefusesRowsOutside) {
  const Tensor x = random_tensor({5, 3}, "x");
  EXPECT_ANY_THROW(gather_rows(x, at::tensor({0, 5}, at::kLong)));
  EXPECT_ANY_THROW(gather_rows(x, at::tensor({0, -6}, at::kLong)));
}

}  // namespace
}  // namespace temper
