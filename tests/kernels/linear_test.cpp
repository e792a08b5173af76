// Our matrix products against libtorch's in float64.

#include "kernels/linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/isa.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

struct Size {
  int64_t T, O, I;
};

TEST(LinearKernel, AgreesWithFloat64ProductsOnEveryIsa) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble})
      for (const auto& [T, O, I] : {Size{1, 1, 1}, {3, 5, 7}, {9, 48, 16}, {70, 65, 33}, {130, 150, 301}, {5, 400, 2}, {157, 3, 128}}) {
        const ForceIsa force(isa);
        SCOPED_TRACE(fmt::format("{} {} T {} O {} I {}", isa_name(isa), dtype_name(dtype), T, O, I));
        const Tensor x = random_tensor({T, I}, "x", dtype), w = random_tensor({O, I}, "w", dtype), grad_y = random_tensor({T, O}, "dy", dtype);
        const Tensor wide_x = x.to(at::kDouble), wide_w = w.to(at::kDouble), wide_dy = grad_y.to(at::kDouble);
        const double bound = dtype == at::kDouble ? kLinear.float64 : kLinear.float32;
        const at::ScalarType wide = accumulate_dtype(dtype);

        const Tensor product = at::matmul(wide_x, wide_w.t());
        EXPECT_TRUE(close(kernel<LinearForward>(x)(x, w, wide), product, bound));
        EXPECT_TRUE(close(kernel<LinearForward>(x)(x, w, dtype), product, pick(kLinear, dtype)));
        EXPECT_EQ(kernel<LinearForward>(x)(x, w, dtype).scalar_type(), dtype);

        const Tensor start = random_tensor({T, I}, "sum", wide), start_w = random_tensor({O, I}, "sum_w", wide);
        for (const bool wide_gradient : {false, true}) {   // the compressor's gradients stay in fp32
          const Tensor dy = wide_gradient ? grad_y.to(wide) : grad_y;
          Tensor sum = start.clone(), grad_w = start_w.clone();
          kernel<LinearGradInput>(x)(dy, w, sum, /*add=*/true);
          Tensor rounded = x.new_zeros({T, I});
          kernel<LinearGradInput>(x)(dy, w, rounded, /*add=*/false);
          EXPECT_TRUE(close(rounded, at::matmul(wide_dy, wide_w), pick(kLinear, dtype)));
          kernel<LinearGradWeight>(x)(dy, x, grad_w, /*add=*/true);
          Tensor alone = at::full({O, I}, std::nan(""), wide);   // what was there must not be read
          kernel<LinearGradWeight>(x)(dy, x, alone, /*add=*/false);
          EXPECT_TRUE(close(alone, at::matmul(wide_dy.t(), wide_x), bound));
          EXPECT_TRUE(close(sum, start.to(at::kDouble) + at::matmul(wide_dy, wide_w), bound));
          EXPECT_TRUE(close(grad_w, start_w.to(at::kDouble) + at::matmul(wide_dy.t(), wide_x), bound));
        }
      }
}

TEST(LinearKernel, TheFirstGradientOfNoRowsIsZero) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const ForceIsa force(isa);
      Tensor grad = at::full({40, 24}, std::nan(""), accumulate_dtype(dtype));
      const Tensor x = at::empty({0, 24}, dtype), dy = at::empty({0, 40}, dtype);
      kernel<LinearGradWeight>(x)(dy, x, grad, /*add=*/false);
      EXPECT_TRUE(at::equal(grad, at::zeros_like(grad)));
    }
}

TEST(LinearKernel, LayersOfOneInputTogetherGiveWhatEachGivesAlone) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble})
    for (const int64_t T : {3, 70}) {   // thin products and packed ones
      const Tensor x = random_tensor({T, 48}, "x", dtype);
      const std::vector<LinearPart> parts{{random_tensor({33, 48}, "a", dtype), dtype}, {random_tensor({130, 48}, "b", dtype), accumulate_dtype(dtype)}};
      const std::vector<Tensor> together = kernel<LinearsForward>(x)(x, parts), twin = reference::linears(x, parts);
      for (size_t i = 0; i < parts.size(); ++i) {
        EXPECT_TRUE(same_bits(together[i], kernel<LinearForward>(x)(x, parts[i].weight, parts[i].out_dtype)));
        EXPECT_TRUE(close(together[i], twin[i], pick(kLinear, dtype)));
      }
    }
}

TEST(BlockLinearKernel, AgreesWithItsTwin) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble})
    for (const int64_t groups : {1, 3}) {
      const Tensor x = random_tensor({45, groups * 18}, "x", dtype), w = random_tensor({groups * 10, 18}, "w", dtype), dy = random_tensor({45, groups * 10}, "dy", dtype);
      EXPECT_TRUE(close(kernel<BlockLinear>(x)(x, w, groups), reference::block_linear(x, w, groups), pick(kLinear, dtype)));
      const Tensor start = random_tensor({groups * 10, 18}, "start", accumulate_dtype(dtype)), grad = start.clone(), grad_twin = start.clone();
      for (const bool add : {true, false}) {
        EXPECT_TRUE(close(kernel<BlockLinearBackward>(x)(dy, x, w, groups, grad, add), reference::block_linear_backward(dy, x, w, groups, grad_twin, add), pick(kLinear, dtype)));
        EXPECT_TRUE(close(grad, grad_twin, pick(kLinear, accumulate_dtype(dtype))));
      }
    }
}

TEST(LinearKernel, TakesSlicesOfColumns) {
  const Tensor all = random_tensor({20, 48}, "x"), w = random_tensor({10, 16}, "w"), x = all.narrow(1, 16, 16);
  EXPECT_TRUE(same_bits(kernel<LinearForward>(x)(x, w, at::kFloat), kernel<LinearForward>(x)(x.contiguous(), w, at::kFloat)));
}

}  // namespace
}  // namespace temper
