// Products that read compact weights, against packed products that read the weights themselves.

#include "kernels/compact_weights.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/exp2.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/masked_select.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cpu/isa.h"
#include "kernels/grouped_matmul.h"
#include "kernels/linear.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

// A bell curve with zeros of both signs, numbers far outside its powers of two, the smallest numbers, and those that mark others.
Tensor awkward_weight(const Shape& shape) {
  const Tensor weight = random_tensor(shape, "w", at::kBFloat16);
  uint16_t* const bits = static_cast<uint16_t*>(weight.data_ptr());
  const uint16_t odd[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x0002, 0x0080, 0x0181, 0x1234, 0x9fff, 0x7a01, 0xf500};
  for (int64_t i = 0; i < weight.numel(); i += 97) bits[i] = odd[static_cast<size_t>(i / 97) % std::size(odd)];
  return weight;
}

// x times w as one packed product of many rows computes it.
Tensor packed_linear(const Tensor& x, const Tensor& w, at::ScalarType dtype) {
  constexpr int64_t kMany = 64;
  Tensor many = at::zeros({kMany, x.size(1)}, x.options());
  many.narrow(0, 0, x.size(0)).copy_(x);
  return kernel<LinearForward>(x)(many, w, dtype).narrow(0, 0, x.size(0));
}

// The same bits where one instruction multiplies and adds a pair; elsewhere the compiler may or may not have joined a product and a sum.
::testing::AssertionResult agree(const Tensor& a, const Tensor& b, Isa isa, at::ScalarType dtype) {
  if (isa == Isa::kAvx512Bf16 && dtype == at::kBFloat16)
    return at::equal(a.view(at::kInt), b.view(at::kInt)) ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << "other bits";
  const Tensor finite = at::isfinite(b);
  if (!at::equal(finite, at::isfinite(a)) || !at::equal(at::isnan(a), at::isnan(b))) return ::testing::AssertionFailure() << "other places of infinities and NaN";
  return close(a.masked_select(finite), b.masked_select(finite), kLinear.float32);
}

// Up to 128 columns a packed product is one sum for all instruction sets; longer ones it adds up in blocks.
TEST(CompactWeights, LinearIsThatOfAPackedProduct) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat})
      for (const auto& [n, k] : {std::pair<int64_t, int64_t>{32, 32}, {96, 64}, {320, 128}}) {
        const ForceIsa force(isa);
        const Tensor w = awkward_weight({n, k});
        CompactWeights compact;
        ASSERT_TRUE(compact.add(w));
        EXPECT_EQ(CompactWeights::find_in_use(w.const_data_ptr(), k).matrix, nullptr);
        for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 21, 32, 33}) {
          SCOPED_TRACE(fmt::format("{} {} m {} n {} k {}", isa_name(isa), dtype_name(dtype), m, n, k));
          const Tensor x = random_tensor({m, k}, "x", dtype), plain = packed_linear(x, w, at::kFloat);
          const CompactWeights::InUse in_use(compact);
          ASSERT_NE(CompactWeights::find_in_use(w.const_data_ptr(), k).matrix, nullptr);
          EXPECT_TRUE(agree(kernel<LinearForward>(x)(x, w, at::kFloat), plain, isa, dtype));
          EXPECT_TRUE(close(kernel<LinearForward>(x)(x, w, dtype), plain, pick(kLinear, dtype)));
        }
      }
}

TEST(CompactWeights, LongProductsAgreeWithFloat64AndDoNotDependOnTheRowsBeside) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat})
      for (const auto& [n, k] : {std::pair<int64_t, int64_t>{64, 192}, {320, 256}, {96, 1056}}) {
        const ForceIsa force(isa);
        SCOPED_TRACE(fmt::format("{} {} n {} k {}", isa_name(isa), dtype_name(dtype), n, k));
        const Tensor w = random_tensor({n, k}, "w", at::kBFloat16), x = random_tensor({32, k}, "x", dtype);
        CompactWeights compact;
        ASSERT_TRUE(compact.add(w));
        const CompactWeights::InUse in_use(compact);
        const Tensor all = kernel<LinearForward>(x)(x, w, at::kFloat);
        EXPECT_TRUE(close(all, at::matmul(x.to(at::kDouble), w.to(at::kDouble).t()), kLinear.float32));
        for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 1}, {31, 1}, {3, 2}, {6, 3}, {10, 4}, {1, 22}})
          EXPECT_TRUE(same_bits(kernel<LinearForward>(x)(x.narrow(0, first, count), w, at::kFloat), all.narrow(0, first, count))) << first << " + " << count;
      }
}

// What proves that the compact form is read, and its values are complete: the weight is spoilt after it was made compact.
TEST(CompactWeights, EveryValueComesBack) {
  for (const Isa isa : available_isas())
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{128, 64}, {96, 544}}) {
      const ForceIsa force(isa);
      SCOPED_TRACE(isa_name(isa));
      const Tensor w = awkward_weight({n, k}), kept = w.clone();
      CompactWeights compact;
      ASSERT_TRUE(compact.add(w));
      w.zero_();
      const CompactWeights::InUse in_use(compact);
      const Tensor unit = at::eye(k);   // fp32: its products are the values themselves
      Tensor columns = at::zeros({k, n});
      for (int64_t i = 0; i < k; i += 4) columns.narrow(0, i, 4).copy_(kernel<LinearForward>(unit)(unit.narrow(0, i, 4), w, at::kFloat));
      EXPECT_TRUE(at::equal(columns.t(), kept.to(at::kFloat)));
    }
}

TEST(CompactWeights, EveryBitPatternIsMadeAndReadAlikeByAllInstructionSets) {
  const Tensor all = at::empty({512, 128}, at::kBFloat16);   // infinities and NaN too; a narrow share of them, so that the list takes the rest
  uint16_t* const bits = static_cast<uint16_t*>(all.data_ptr());
  for (int64_t i = 0; i < all.numel(); ++i) bits[i] = static_cast<uint16_t>(0x3c00 + i % 0x0400);
  for (int64_t i = 0; i < 1000; ++i) {
    const uint16_t pattern = static_cast<uint16_t>(i * 65536 / 1000), magnitude = pattern & 0x7fff;
    if (magnitude < 0x7b00 || magnitude >= 0x7f80) bits[i * 65] = pattern;   // products of the largest numbers overflow, or not, with the way they are added
  }
  const Tensor x = random_tensor({3, 128}, "x", at::kBFloat16);
  for (const Isa isa : available_isas()) {
    const ForceIsa force(isa);
    CompactWeights compact;
    ASSERT_TRUE(compact.add(all));
    const Tensor plain = packed_linear(x, all, at::kFloat);
    const CompactWeights::InUse in_use(compact);
    EXPECT_TRUE(agree(kernel<LinearForward>(x)(x, all, at::kFloat), plain, isa, at::kBFloat16)) << isa_name(isa);
  }
}

TEST(CompactWeights, ExpertsAndSlicesOfAMatrixAreFound) {
  const Tensor experts = awkward_weight({5, 96, 128}), blocks = awkward_weight({4 * 32, 64});
  CompactWeights compact;
  ASSERT_TRUE(compact.add(blocks));
  ASSERT_TRUE(compact.add(experts));
  const std::vector<int64_t> offsets{0, 1, 1, 4, 12, 13};
  const Tensor rows = random_tensor({13, 128}, "rows", at::kBFloat16), x = random_tensor({6, 4 * 64}, "x", at::kBFloat16);
  std::vector<Tensor> plain_rows, plain_x;
  for (size_t g = 0; g < 5; ++g)
    if (offsets[g + 1] > offsets[g]) plain_rows.push_back(packed_linear(rows.narrow(0, offsets[g], offsets[g + 1] - offsets[g]), experts[static_cast<int64_t>(g)], at::kBFloat16));
  for (int64_t g = 0; g < 4; ++g) plain_x.push_back(packed_linear(x.narrow(1, g * 64, 64), blocks.narrow(0, g * 32, 32), at::kBFloat16));
  const CompactWeights::InUse in_use(compact);
  const CompactWeights::Rows third = CompactWeights::find_in_use(experts[3].const_data_ptr(), 128);
  ASSERT_NE(third.matrix, nullptr);
  EXPECT_EQ(third.first_row, 3 * 96);
  EXPECT_TRUE(same_bits(kernel<GroupedMatmul>(rows)(rows, experts, offsets, at::kBFloat16), at::cat(plain_rows)));
  EXPECT_TRUE(same_bits(kernel<BlockLinear>(x)(x, blocks, 4), at::cat(plain_x, 1)));
  // Products with the columns, as in a backward pass, and slices that begin inside a tile read the weight itself.
  const Tensor wide = random_tensor({2, 96}, "wide", at::kBFloat16), odd = experts[0].narrow(0, 2, 32);
  EXPECT_EQ(CompactWeights::find_in_use(odd.const_data_ptr(), 128).matrix, nullptr);
  EXPECT_TRUE(close(kernel<LinearForward>(rows)(rows, odd, at::kFloat), at::matmul(rows.to(at::kDouble), odd.to(at::kDouble).t()), kLinear.float32));
  Tensor grad = at::empty({2, 128});
  kernel<LinearGradInput>(wide)(wide, experts[1], grad, false);
  EXPECT_TRUE(close(grad, at::matmul(wide.to(at::kDouble), experts[1].to(at::kDouble)), kLinear.float32));
}

TEST(CompactWeights, WhatCannotBeCompactIsLeftAlone) {
  CompactWeights compact;
  EXPECT_FALSE(compact.add(random_tensor({32, 64}, "w")));                                        // not bf16
  EXPECT_FALSE(compact.add(random_tensor({32, 80}, "w", at::kBFloat16)));                        // columns
  EXPECT_FALSE(compact.add(random_tensor({40, 64}, "w", at::kBFloat16)));                         // rows
  EXPECT_FALSE(compact.add(random_tensor({64, 32}, "w", at::kBFloat16).t()));                      // not contiguous
  EXPECT_FALSE(compact.add(random_tensor({64}, "w", at::kBFloat16)));
  const Tensor exponents = random_tensor({32, 64}, "w", at::kFloat, /*scale=*/30);
  EXPECT_FALSE(compact.add(at::exp2(exponents).to(at::kBFloat16)));                               // too many powers of two
  EXPECT_EQ(compact.bytes(), 0);
  ASSERT_TRUE(compact.add(random_tensor({64, 256}, "w", at::kBFloat16)));
  EXPECT_LT(compact.bytes(), 64 * 256 * 2 * 4 / 5);
}

TEST(CompactWeights, ThreadsShareTheColumnsWithTheSameBits) {
  const int n_threads = at::get_num_threads();
  const Tensor x = random_tensor({6, 128}, "x", at::kBFloat16), w = awkward_weight({9984, 128});
  const Tensor plain = packed_linear(x, w, at::kFloat);
  for (const int n : {1, 3}) {
    at::set_num_threads(n);
    CompactWeights compact;
    ASSERT_TRUE(compact.add(w));
    const CompactWeights::InUse in_use(compact);
    EXPECT_TRUE(same_bits(kernel<LinearForward>(x)(x, w, at::kFloat), plain)) << n;
  }
  at::set_num_threads(n_threads);
}

}  // namespace
}  // namespace temper
