// Products with few rows, through the kernels that use them.

#include "kernels/cpu/thin_gemm.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/linear.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

TEST(ThinGemm, AgreesWithFloat64ProductsForEveryNumberOfRowsAndMixOfTypes) {
  for (const Isa isa : available_isas())
    for (const auto& [type_a, type_b] : {std::pair{at::kFloat, at::kFloat}, {at::kBFloat16, at::kBFloat16}, {at::kBFloat16, at::kFloat},
                                         {at::kFloat, at::kBFloat16}, {at::kDouble, at::kDouble}})
      for (const int64_t m : {1, 2, 3, 4, 5, 7, 8, 16, 31, 32})
        for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {16, 64}, {37, 33}, {50, 96}, {3, 250}}) {
          const ForceIsa force(isa);
          SCOPED_TRACE(fmt::format("{} {} {} m {} n {} k {}", isa_name(isa), dtype_name(type_a), dtype_name(type_b), m, n, k));
          const Tensor a = random_tensor({m, k}, "a", type_a), b = random_tensor({n, k}, "b", type_b);
          const at::ScalarType wide = accumulate_dtype(type_a);
          const Tensor start = random_tensor({m, n}, "start", wide);
          Tensor sum = start.clone();
          GemmProblem problem{.m = m, .n = n, .k = k, .a = matrix_view(a), .b = transposed(matrix_view(b)), .c = sum.data_ptr(), .c_row = n, .c_element = element_of(sum), .add = true};
          ASSERT_TRUE(is_thin(problem));
          thin_gemm({problem});
          const Tensor product = at::matmul(a.to(at::kDouble), b.to(at::kDouble).t());
          EXPECT_TRUE(close(sum, start.to(at::kDouble) + product, wide == at::kDouble ? kLinear.float64 : kLinear.float32));
          Tensor rounded = start.to(type_a);
          problem.c = rounded.data_ptr(), problem.c_element = element_of(rounded), problem.add = false;
          thin_gemm({problem});
          EXPECT_TRUE(close(rounded, product, pick(kLinear, type_a)));
        }
}

TEST(ThinGemm, ARowDoesNotDependOnTheRowsBesideIt) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const ForceIsa force(isa);
      const Tensor x = random_tensor({32, 70}, "x", dtype), w = random_tensor({45, 70}, "w", dtype);
      const Tensor all = kernel<LinearForward>(x)(x, w, dtype);
      for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 1}, {31, 1}, {3, 2}, {6, 3}, {1, 22}})
        EXPECT_TRUE(same_bits(kernel<LinearForward>(x)(x.narrow(0, first, count), w, dtype), all.narrow(0, first, count)))
            << isa_name(isa) << " " << dtype_name(dtype) << " rows " << first << " + " << count;
    }
}

TEST(ThinGemm, ThreadsShareTheColumnsWithTheSameBits) {
  const int n_threads = at::get_num_threads();
  const Tensor x = random_tensor({6, 256}, "x", at::kBFloat16), w = random_tensor({5000, 256}, "w", at::kBFloat16);
  at::set_num_threads(1);
  const Tensor one = kernel<LinearForward>(x)(x, w, at::kFloat);
  at::set_num_threads(3);
  const Tensor three = kernel<LinearForward>(x)(x, w, at::kFloat);
  at::set_num_threads(n_threads);
  EXPECT_TRUE(same_bits(one, three));
}

TEST(ThinGemm, OtherLayoutsAndManyRowsAreLeftToThePackedProduct) {
  const Tensor a = random_tensor({4, 16}, "a"), b = random_tensor({8, 16}, "b");
  GemmProblem problem{.m = 4, .n = 8, .k = 16, .a = matrix_view(a), .b = transposed(matrix_view(b))};
  EXPECT_TRUE(is_thin(problem));
  problem.m = 33;
  EXPECT_FALSE(is_thin(problem));
  problem.m = 4, problem.b = matrix_view(random_tensor({16, 8}, "other"));
  EXPECT_FALSE(is_thin(problem));
}

}  // namespace
}  // namespace temper
