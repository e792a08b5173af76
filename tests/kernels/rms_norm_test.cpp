// The CPU kernel against its composite twin, and the twin's hand-written gradient against ATen's autograd.

#include "kernels/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "kernels/cpu/isa.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

TEST(RmsNormKernel, AgreesWithItsTwinOnEveryIsaDtypeAndWidth) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
      for (const int64_t width : {1, 7, 64, 200})
        for (const bool weighted : {false, true}) {
          const ForceIsa force(isa);
          SCOPED_TRACE(std::string(isa_name(isa)) + " " + dtype_name(dtype) + " " + std::to_string(width));
          const Tensor x = random_tensor({3, 101, width}, "x", dtype), grad_y = random_tensor({3, 101, width}, "dy", dtype);
          const Tensor weight = weighted ? random_tensor({width}, "w", dtype) : Tensor();
          const auto options = x.options().dtype(accumulate_dtype(dtype));
          Tensor grad_weight = weighted ? at::ones({width}, options) : Tensor(), grad_weight_twin = grad_weight.defined() ? grad_weight.clone() : Tensor();

          const auto [y, rstd] = kernel<RmsNorm>(x)(x, weight, 1e-6);
          const auto [y_twin, rstd_twin] = reference::rms_norm(x, weight, 1e-6);
          EXPECT_EQ(y.scalar_type(), dtype);
          EXPECT_TRUE(close(y, y_twin, pick(kRmsNorm, dtype)));
          EXPECT_TRUE(close(rstd, rstd_twin, pick(kRmsNorm, dtype)));

          const Tensor grad_x = kernel<RmsNormBackward>(x)(grad_y, x, weight, rstd, grad_weight);
          const Tensor grad_x_twin = reference::rms_norm_backward(grad_y, x, weight, rstd, grad_weight_twin);
          EXPECT_TRUE(close(grad_x, grad_x_twin, width == 1 ? 1 : pick(kRmsNormGrad, dtype)));   // width 1: the exact value is almost 0
          if (weighted) {
            EXPECT_TRUE(close(grad_weight, grad_weight_twin, pick(kRmsNormGrad, dtype)));
          }
        }
}

TEST(RmsNormKernel, TwinGradientIsAutogradsGradient) {
  const Tensor x = random_tensor({5, 24}, "x", at::kDouble).requires_grad_(), weight = random_tensor({24}, "w", at::kDouble).requires_grad_();
  const Tensor grad_y = random_tensor({5, 24}, "dy", at::kDouble);
  const auto [y, rstd] = reference::rms_norm(x, weight, 1e-3);
  (y * grad_y).sum().backward();
  Tensor grad_weight = at::zeros({24}, at::kDouble);
  const Tensor grad_x = reference::rms_norm_backward(grad_y, x.detach(), weight.detach(), rstd.detach(), grad_weight);
  EXPECT_TRUE(close(grad_x, x.grad(), kRmsNormGrad.float64));
  EXPECT_TRUE(close(grad_weight, weight.grad(), kRmsNormGrad.float64));
}

TEST(RmsNormKernel, RepeatsItsBits) {
  const Tensor x = random_tensor({4000, 64}, "x"), grad_y = random_tensor({4000, 64}, "dy"), weight = random_tensor({64}, "w");
  const auto [y, rstd] = kernel<RmsNorm>(x)(x, weight, 1e-6);
  Tensor first = at::zeros({64}), second = at::zeros({64});
  kernel<RmsNormBackward>(x)(grad_y, x, weight, rstd, first);
  kernel<RmsNormBackward>(x)(grad_y, x, weight, rstd, second);
  EXPECT_TRUE(same_bits(first, second));
}

TEST(RmsNormKernel, GivesShapesOnMeta) {
  const Tensor x = at::empty({2, 3, 8}, at::TensorOptions().dtype(at::kBFloat16).device(at::kMeta));
  const auto [y, rstd] = kernel<RmsNorm>(x)(x, Tensor(), 1e-6);
  EXPECT_EQ(y.sizes(), x.sizes());
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_EQ(rstd.sizes(), (at::IntArrayRef{2, 3}));
  EXPECT_EQ(rstd.scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace temper
