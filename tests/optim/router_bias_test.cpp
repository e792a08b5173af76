#include "optim/router_bias.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace temper {
namespace {

TEST(RouterBias, MovesEachExpertTowardsTheMeanLoadBySpeed) {
  Tensor bias = at::tensor({0.5, 0.0, 0.0, -0.5}, at::kFloat);
  update_router_bias(bias, at::tensor({10, 4, 6, 4}, at::kLong), 0.001);   // mean 6
  EXPECT_TRUE(at::allclose(bias, at::tensor({0.499, 0.001, 0.0, -0.499}, at::kFloat), 0, 1e-7));
}

TEST(RouterBias, ABalancedLoadChangesNothing) {
  Tensor bias = at::zeros({3});
  update_router_bias(bias, at::tensor({16777217, 16777217, 16777217}, at::kLong), 0.001);   // not exact in float32
  EXPECT_EQ(bias.abs().max().item<float>(), 0.0f);
}

}  // namespace
}  // namespace temper
