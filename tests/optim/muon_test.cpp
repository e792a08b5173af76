#include "optim/muon.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "support/expect_error.h"

namespace temper {
namespace {

Tensor random(Shape shape, std::string_view name) {
  const RandomStream stream(1, name);
  Tensor t = at::empty(shape);
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<float>()[i] = static_cast<float>(stream.normal(static_cast<uint64_t>(i)));
  return t;
}

double rms(const Tensor& t) { return std::sqrt(t.to(at::kDouble).square().mean().item<double>()); }

void step_one(const Tensor& w, const Tensor& m, const Tensor& g, const MuonStep& step, const MuonConfig& config, double grad_scale = 1.0) {
  const MuonMatrix matrix{.w = w, .m = m, .g = g, .grad_scale = grad_scale};
  muon_step({&matrix, 1}, step, config);
}

/// w after one step from w = 0 without decay and with lr 1 is minus the update.
Tensor first_update(const Tensor& g, at::ScalarType dtype = at::kFloat) {
  Tensor w = at::zeros_like(g), m = at::zeros_like(g);
  step_one(w, m, g, {.lr = 1.0, .dtype = dtype}, MuonConfig{});
  return w.neg();
}

// The response of the scalar polynomial iteration, spec/deepseek-v4 3.2: singular values (relative to the Frobenius norm)
// 3e-4, 1e-3, 1e-2, 0.1 map to 1.000001, 1.000001, 1.000019, 1.000061 and 1e-4 to 1.0020.
TEST(Orthogonalise, MapsSingularValuesAsTheScalarIterationDoes) {
  const double in[] = {1e-4, 3e-4, 1e-3, 1e-2, 0.1};
  const double expected[] = {1.0020, 1.000001, 1.000001, 1.000019, 1.000061};
  double rest = 1.0;
  std::vector<double> diagonal(std::begin(in), std::end(in));
  for (const double s : in) rest -= s * s;
  diagonal.push_back(std::sqrt(rest));   // makes the Frobenius norm 1
  const Tensor out = orthogonalise(at::diag_embed(at::tensor(diagonal, at::kDouble)), at::kDouble);
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(out[i][i].item<double>(), expected[i], i == 0 ? 5e-5 : 6e-7) << in[i];
}

TEST(Orthogonalise, ReturnsTheNearestOrthogonalMatrix) {
  // g = u diag(s) v^T with known u, v: the answer is u v^T.
  const Tensor u = std::get<0>(at::linalg_qr(random({24, 24}, "u").to(at::kDouble)));
  const Tensor v = std::get<0>(at::linalg_qr(random({40, 24}, "v").to(at::kDouble)));
  const Tensor s = random({24}, "s").to(at::kDouble).abs_().add_(0.05);
  const Tensor wide = at::matmul(u * s, v.t());
  EXPECT_TRUE(at::allclose(orthogonalise(wide, at::kDouble), at::matmul(u, v.t()), 1e-3, 1e-4));
  EXPECT_TRUE(at::allclose(orthogonalise(wide.t(), at::kDouble), at::matmul(v, u.t()), 1e-3, 1e-4));
}

TEST(Orthogonalise, TreatsLeadingDimensionsAsIndependentMatrices) {
  const Tensor a = random({8, 20}, "a"), b = random({8, 20}, "b");
  const Tensor both = orthogonalise(at::stack({a, b}), at::kFloat);
  EXPECT_TRUE(at::allclose(both[0], orthogonalise(a, at::kFloat), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(both[1], orthogonalise(b, at::kFloat), 1e-5, 1e-6));
}

TEST(Orthogonalise, AZeroMatrixStaysZero) {
  EXPECT_EQ(orthogonalise(at::zeros({4, 6}), at::kFloat).abs().max().item<float>(), 0.0f);
}

TEST(MuonStep, KeepsUpdateRmsAt018ForEveryShape) {
  for (const Shape& shape : {Shape{64, 96}, Shape{96, 64}, Shape{4, 1024}, Shape{128, 128}}) {
    const Tensor update = first_update(random(shape, "g"));
    // A matrix with p equal singular values of 1 has RMS 1/sqrt(max(rows, cols)); a square Gaussian has some tiny ones.
    EXPECT_NEAR(rms(update), 0.18, 0.18 * 0.01) << shape_text(shape);
  }
}

TEST(MuonStep, SingularValuesOfTheUpdateAreEqual) {
  const Tensor s = at::linalg_svdvals(first_update(random({48, 96}, "g"))) / (0.18 * std::sqrt(96.0));
  EXPECT_GT(s.min().item<float>(), 0.999f);
  EXPECT_LT(s.max().item<float>(), 1.001f);
}

TEST(MuonStep, TheGradientsScaleDoesNotMatter) {
  // 1e-30: the squares of its entries are 0 in float32.
  const Tensor g = random({32, 48}, "g");
  for (const double scale : {1e-6, 1e-30, 1e30}) EXPECT_TRUE(at::allclose(first_update(g), first_update(g * scale), 1e-4, 1e-6)) << scale;
}

TEST(MuonStep, FollowsAlgorithmOneOverTwoSteps) {
  const MuonConfig config;
  const double lr = 0.02;
  const Tensor g1 = random({16, 32}, "g1"), g2 = random({16, 32}, "g2"), start = random({16, 32}, "w");
  Tensor w = start.clone(), m = at::zeros_like(w);
  step_one(w, m, g1, {.lr = lr}, config);
  step_one(w, m, g2, {.lr = lr}, config, 0.5);

  const double size = lr * 0.18 * std::sqrt(32.0);
  const Tensor m1 = g1, m2 = 0.95 * m1 + 0.5 * g2;
  const Tensor w1 = start * (1 - lr * 0.1) - size * orthogonalise(g1 + 0.95 * m1, at::kFloat);
  const Tensor w2 = w1 * (1 - lr * 0.1) - size * orthogonalise(0.5 * g2 + 0.95 * m2, at::kFloat);
  EXPECT_TRUE(at::allclose(m, m2, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(w, w2, 1e-5, 1e-5));
}

TEST(MuonStep, ABatchIsTheSameAsSingleStepsAndMixesTallWithWide) {
  std::vector<MuonMatrix> batch, alone;
  for (int i = 0; i < 3; ++i) {
    const Shape shape = i == 1 ? Shape{40, 24} : Shape{24, 40};
    const std::string n = std::to_string(i);
    batch.push_back({random(shape, "w" + n), random(shape, "m" + n), random(shape, "g" + n)});
    alone.push_back({batch.back().w.clone(), batch.back().m.clone(), batch.back().g});
  }
  muon_step(batch, {.lr = 0.1}, MuonConfig{});
  for (const MuonMatrix& one : alone) muon_step({&one, 1}, {.lr = 0.1}, MuonConfig{});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(batch[i].m, alone[i].m));
    EXPECT_TRUE(at::allclose(batch[i].w, alone[i].w, 1e-5, 1e-6)) << i;
  }
}

TEST(MuonStep, Bfloat16ProductsKeepTheDirection) {
  const Tensor g = random({64, 96}, "g"), exact = first_update(g), rounded = first_update(g, at::kBFloat16);
  const double cosine = ((exact * rounded).sum() / (exact.norm() * rounded.norm())).item<double>();
  EXPECT_GT(cosine, 0.99);
  EXPECT_NEAR(rms(rounded), 0.18, 0.18 * 0.05);
}

TEST(MuonStep, RejectsShapesThatDiffer) {
  Tensor w = random({4, 6}, "w"), m = random({6, 4}, "m");
  EXPECT_ERROR(step_one(w, m, w, {.lr = 1}, MuonConfig{}), ErrorKind::kInternal, "muon_step");
}

}  // namespace
}  // namespace temper
