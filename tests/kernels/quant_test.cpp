// The grids are checked against libtorch's own e4m3 casts and a list of the sixteen e2m1 values; scales and lossless
// repetition against the rules of the formats, over random codes.
#include "kernels/quant.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "kernels/cpu/isa.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

constexpr auto kE8m0 = at::ScalarType::Float8_e8m0fnu;

// Values of many magnitudes: a block's scale is then decided by a few of them.
Tensor wild_matrix(int64_t rows, int64_t columns) {
  const Tensor x = random_tensor({rows, columns}, "x");
  return x * x.abs().pow(4) * random_tensor({rows, 1}, "rows").exp();
}

Tensor random_bytes(at::IntArrayRef shape, const char* name, int low, int high) {
  Tensor bytes = at::empty(shape, at::kByte);
  const RandomStream random(3, name);
  for (int64_t i = 0; i < bytes.numel(); ++i) bytes.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(low + static_cast<int>(random.below(static_cast<uint64_t>(i), static_cast<uint64_t>(high - low + 1))));
  return bytes;
}

class QuantShapes : public ::testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(QuantShapes, FakeQuantAgreesBitForBitWithItsTwinOnEveryIsa) {
  const auto [rows, columns] = GetParam();
  const Tensor x = wild_matrix(rows, columns);
  for (const Isa isa : available_isas()) {
    const ForceIsa force(isa);
    EXPECT_TRUE(at::equal(fake_quant_fp8_block(x), reference::fake_quant_fp8_block(x))) << isa_name(isa);
    EXPECT_TRUE(at::equal(fake_quant_fp4_block(x), reference::fake_quant_fp4_block(x))) << isa_name(isa);
    const Tensor half = x.to(at::kBFloat16);
    EXPECT_TRUE(at::equal(fake_quant_fp8_block(half), reference::fake_quant_fp8_block(half)));
  }
}

TEST_P(QuantShapes, FakeQuantIsQuantizeThenDequantizeAndRepeatsWithoutLoss) {
  const auto [rows, columns] = GetParam();
  const Tensor x = wild_matrix(rows, columns);
  for (const Isa isa : available_isas()) {
    const ForceIsa force(isa);
    const Quantized q8 = quantize_fp8_block(x);
    const Tensor v8 = dequantize_fp8_block(q8.codes, q8.scales).value;
    EXPECT_TRUE(same_bits(v8, fake_quant_fp8_block(x)));
    EXPECT_TRUE(same_bits(v8, fake_quant_fp8_block(v8)));
    if (columns % 2) continue;
    const Quantized q4 = quantize_fp4_block(x);
    const Tensor v4 = dequantize_fp4_block(q4.codes, q4.scales).value;
    EXPECT_TRUE(same_bits(v4, fake_quant_fp4_block(x)));
    EXPECT_TRUE(same_bits(v4, fake_quant_fp4_block(v4)));
  }
}

// Codes and scales as a release could have them, not only those our own rounding would choose.
TEST_P(QuantShapes, AnyStoredMatrixIsReproducedValueForValue) {
  const auto [rows, columns] = GetParam();
  const Tensor codes8 = random_bytes({rows, columns}, "fp8", 0, 255);
  uint8_t* c = codes8.data_ptr<uint8_t>();
  for (int64_t i = 0; i < codes8.numel(); ++i)
    if ((c[i] & 0x7f) == 0x7f) c[i] ^= 1;   // no NaN
  const Tensor scales8 = random_bytes({(rows + 127) / 128, (columns + 127) / 128}, "s8", 20, 230).view(kE8m0);
  const Tensor v8 = dequantize_fp8_block(codes8.view(at::ScalarType::Float8_e4m3fn), scales8).value;
  const Quantized again8 = quantize_fp8_block(v8);
  EXPECT_TRUE(same_bits(dequantize_fp8_block(again8.codes, again8.scales).value, v8));
  EXPECT_TRUE(at::equal(v8.to(at::kBFloat16).to(at::kFloat), v8));   // bf16 holds it exactly
  if (columns % 2) return;
  const Tensor codes4 = random_bytes({rows, columns / 2}, "fp4", 0, 255).view(at::kChar), scales4 = random_bytes({rows, (columns + 31) / 32}, "s4", 20, 230).view(kE8m0);
  const Tensor v4 = dequantize_fp4_block(codes4, scales4).value;
  const Quantized again4 = quantize_fp4_block(v4);
  EXPECT_TRUE(same_bits(dequantize_fp4_block(again4.codes, again4.scales).value, v4));
  EXPECT_TRUE(at::equal(v4.to(at::kBFloat16).to(at::kFloat), v4));
}

INSTANTIATE_TEST_SUITE_P(Shapes, QuantShapes,
                         ::testing::Values(std::pair{1, 1}, std::pair{1, 2}, std::pair{3, 40}, std::pair{128, 128}, std::pair{129, 130}, std::pair{300, 257}, std::pair{256, 512}),
                         [](const auto& info) { return std::to_string(info.param.first) + "x" + std::to_string(info.param.second); });

TEST(Quant, Fp8CodesAreLibtorchsE4m3) {
  Tensor codes = at::empty({2, 128}, at::kByte);
  for (int64_t i = 0; i < 256; ++i) codes.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(i);
  const Tensor e4m3 = codes.view(at::ScalarType::Float8_e4m3fn), scale = at::full({1, 1}, 0.25, at::kFloat);
  const Dequantized ours = dequantize_fp8_block(e4m3, scale.to(kE8m0));
  EXPECT_EQ(ours.n_bad, 2);   // 0x7f and 0xff are NaN
  const Tensor theirs = e4m3.to(at::kFloat) * 0.25;
  EXPECT_TRUE(at::equal(at::isnan(ours.value), at::isnan(theirs)));
  EXPECT_TRUE(at::equal(ours.value.nan_to_num(), theirs.nan_to_num()));
  EXPECT_TRUE(at::equal(dequantize_fp8_block(e4m3, scale).value.nan_to_num(), theirs.nan_to_num()));   // float32 scales
}

TEST(Quant, Fp4HasTheEvenColumnInTheLowNibble) {
  // Values of the format: docs/deepseek_v4.md.
  const float grid[16] = {0, .5, 1, 1.5, 2, 3, 4, 6, -0.0f, -.5, -1, -1.5, -2, -3, -4, -6};
  Tensor codes = at::empty({1, 16}, at::kByte);
  for (int i = 0; i < 16; ++i) codes.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(i | ((15 - i) << 4));
  const Tensor value = dequantize_fp4_block(codes.view(at::kChar), at::full({1, 1}, 2.0, at::kFloat).to(kE8m0)).value;
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(value[0][2 * i].item<float>(), 2 * grid[i]);
    EXPECT_EQ(value[0][2 * i + 1].item<float>(), 2 * grid[15 - i]);
  }
}

TEST(Quant, TiesGoToEvenMantissas) {
  const Tensor x = at::tensor({6.0f, 0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f, -0.75f, -5.0f}).view({1, 10});
  const Tensor expected = at::tensor({6.0f, 0.0f, 1.0f, 1.0f, 2.0f, 2.0f, 4.0f, 4.0f, -1.0f, -4.0f}).view({1, 10});
  EXPECT_TRUE(at::equal(fake_quant_fp4_block(x), expected));
}

TEST(Quant, TheScaleIsTheSmallestPowerOfTwoThatFits) {
  const auto scale_of = [](float amax) { return quantize_fp8_block(at::full({1, 1}, amax, at::kFloat)).scales.view(at::kByte).item<int>() - 127; };
  EXPECT_EQ(scale_of(448.0f), 0);
  EXPECT_EQ(scale_of(449.0f), 1);
  EXPECT_EQ(scale_of(224.0f), -1);
  EXPECT_EQ(scale_of(0.0f), 0);
  EXPECT_EQ(scale_of(1e-45f), -127);   // the smallest subnormal
  EXPECT_EQ(scale_of(3.4e38f), 120);   // 448 * 2^119 < 3.4e38
}

TEST(Quant, ValuesThatAreNotFiniteAreCountedAndSpoilOnlyTheirBlock) {
  Tensor x = random_tensor({128, 256}, "x");
  x[3][200] = std::numeric_limits<float>::infinity();
  const Tensor y8 = fake_quant_fp8_block(x), y4 = fake_quant_fp4_block(x);
  EXPECT_EQ(at::isnan(y8).sum().item<int64_t>(), 128 * 128);
  EXPECT_EQ(at::isnan(y4).sum().item<int64_t>(), 32);
  EXPECT_EQ(quantize_fp8_block(x).n_bad, 1);
  EXPECT_EQ(quantize_fp4_block(x).n_bad, 1);
}

TEST(Quant, NanScalesAreCounted) {
  Tensor scales = at::full({2, 1}, 255, at::kByte);
  scales[0] = 127;
  EXPECT_EQ(dequantize_fp4_block(at::zeros({2, 16}, at::kChar), scales.view(kE8m0)).n_bad, 1);
}

TEST(Quant, Fp8RepackOfFp4IsExactUpToScaleRatio2To14) {
  Tensor scales = at::full({128, 8}, 100, at::kByte);
  scales[5][1] = 114;
  EXPECT_EQ(count_lossy_fp8_repacks(scales.view(kE8m0)), 0);
  scales[6][6] = 115;
  EXPECT_EQ(count_lossy_fp8_repacks(scales.view(kE8m0)), 1);   // only the second block of 4 x 32 columns
}

TEST(Quant, GivesShapesOnMeta) {
  const Tensor x = at::empty({130, 64}, at::TensorOptions().dtype(at::kBFloat16).device(at::kMeta));
  EXPECT_EQ(fake_quant_fp8_block(x).sizes(), x.sizes());
  EXPECT_EQ(fake_quant_fp4_block(x).scalar_type(), at::kBFloat16);
}

}  // namespace
}  // namespace temper
