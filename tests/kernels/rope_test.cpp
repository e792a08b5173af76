// The CPU kernels against their composite twins, and the twin of norm_rope against autograd.

#include "kernels/rope.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/sum.h>
#include <gtest/gtest.h>

#include "kernels/cpu/isa.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

Rotation random_rotation(int64_t T, int64_t half, at::ScalarType dtype) {
  const Tensor angle = random_tensor({T, half}, "angle", dtype, 3.0);
  return {at::cos(angle), at::sin(angle)};
}

TEST(RopeKernels, AgreeWithTheirTwinsOnEveryIsaDtypeAndShape) {
  struct Size {
    int64_t T, H, dim, rope_dim;
  };
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
      for (const auto& [T, H, dim, R] : {Size{1, 1, 2, 2}, {5, 3, 16, 8}, {150, 8, 64, 16}, {7, 70, 40, 30}, {3, 2, 96, 64}, {4, 1, 33, 6}}) {
        const ForceIsa force(isa);
        SCOPED_TRACE(std::string(isa_name(isa)) + " " + dtype_name(dtype) + " dim " + std::to_string(dim));
        const Rotation rotation = random_rotation(T, R / 2, accumulate_dtype(dtype));
        const Tensor x = random_tensor({T, H, dim}, "x", dtype), grad_y = random_tensor({T, H, dim}, "dy", dtype);
        const double bound = pick(kRmsNorm, dtype);
        for (const bool inverse : {false, true}) {
          Tensor in_place = x.clone();
          kernel<Rope>(x)(in_place, rotation, inverse, in_place);
          EXPECT_TRUE(close(in_place, reference::rotate(x, rotation, inverse), bound));
        }
        const auto [y, rstd] = kernel<NormRope>(x)(x, rotation, 1e-6);
        const auto [y_twin, rstd_twin] = reference::norm_rope(x, rotation, 1e-6);
        EXPECT_TRUE(close(y, y_twin, bound));
        EXPECT_TRUE(close(rstd, rstd_twin, pick(kRmsNorm, accumulate_dtype(dtype))));
        const double grad_bound = dim == 2 ? 1 : pick(kRmsNormGrad, dtype);   // dim 2: mostly cancelled
        EXPECT_TRUE(close(kernel<NormRopeBackward>(x)(grad_y, y_twin, rstd_twin, rotation), reference::norm_rope_backward(grad_y, y_twin, rstd_twin, rotation), grad_bound));
        EXPECT_TRUE(close(kernel<HeadDots>(x)(x, grad_y), reference::head_dots(x, grad_y), 100 * pick(kRmsNorm, accumulate_dtype(dtype))));   // sums that cancel
      }
}

TEST(RopeKernels, TwinGradientOfNormRopeIsAutogradsGradient) {
  const Rotation rotation = random_rotation(6, 3, at::kDouble);
  const Tensor x = random_tensor({6, 2, 10}, "x", at::kDouble).requires_grad_(), grad_y = random_tensor({6, 2, 10}, "dy", at::kDouble);
  const auto [y, rstd] = reference::norm_rope(x, rotation, 1e-300);   // the gradient is made from y alone: exact as eps goes to 0
  (y * grad_y).sum().backward();
  EXPECT_TRUE(close(reference::norm_rope_backward(grad_y, y.detach(), rstd.detach(), rotation), x.grad(), kRmsNormGrad.float64));
}

TEST(RopeKernels, GradientOfNormRopeIsExactForLargeEpsToo) {
  const Rotation rotation = random_rotation(6, 3, at::kDouble);
  const Tensor x = random_tensor({6, 2, 10}, "x", at::kDouble).requires_grad_(), grad_y = random_tensor({6, 2, 10}, "dy", at::kDouble);
  const auto [y, rstd] = reference::norm_rope(x, rotation, 0.5);
  (y * grad_y).sum().backward();
  EXPECT_TRUE(close(reference::norm_rope_backward(grad_y, y.detach(), rstd.detach(), rotation), x.grad(), kRmsNormGrad.float64));
}

}  // namespace
}  // namespace temper
