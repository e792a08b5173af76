#include "optim/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/deepseek_v4/init.h"
#include "support/all_layers_config.h"
#include "support/expect_error.h"

namespace temper {
namespace {

struct Fixture {
  ModelWeights weights{test::all_layers_config(), {}};
  explicit Fixture(const OptimizerConfig& config = {}, TrainedParts parts = {}) {
    initialise(weights, {.seed = 3, .std = 0.1});
    weights.enable_gradients(frozen_rows(config, parts));
    for (const Parameter& p : weights.parameters())
      if (p.grad.defined()) p.grad.copy_(p.master * 0.5 + 0.01);
  }
  std::vector<Tensor> copy() const {
    std::vector<Tensor> out;
    for (const Parameter& p : weights.parameters()) out.push_back(p.master.clone());
    return out;
  }
};

OptimizerConfig no_clip(const std::string& kind) {
  OptimizerConfig config;
  config.kind = kind;
  config.clip_norm = 0;
  return config;
}

// The rows of the specification's table 3.2, each compared with a step made by hand on that matrix alone.
TEST(Optimizer, V4RecipeTakesEachLogicalMatrixApartAndVectorsByAdamW) {
  Fixture setup;
  const std::vector<Tensor> before = setup.copy();
  const OptimizerConfig config = no_clip("muon");
  Optimizer optimizer(setup.weights, config, at::kFloat);
  optimizer.step(0.01, optimizer.gradient_norms());

  const auto& parameters = setup.weights.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    Tensor w = before[i].clone();
    const std::string& name = p.row.name;
    if (!p.grad.defined()) {
      EXPECT_TRUE(at::equal(w, p.master)) << name;
      continue;
    }
    std::vector<int64_t> groups = {w.size(0)};
    if (name.ends_with("_fn") && !name.ends_with("hc_head_fn")) groups = {2, 2, 4};
    if (name.ends_with("wo_a.weight")) groups = {4, 4};
    const bool vector = w.dim() == 1 || name.ends_with("ape");
    if (vector || name == "embed.weight" || name == "head.weight") {
      AdamWTensorStep t{.w = w, .m = at::zeros_like(w), .v = at::zeros_like(w), .g = p.grad, .lr = 0.01, .step = 1, .decay = !vector};
      adamw_step({&t, 1}, config.adamw);
    } else {
      for (int64_t row = 0, group = 0; group < static_cast<int64_t>(groups.size()); row += groups[group++]) {
        const Tensor part = w.narrow(0, row, groups[group]);
        const MuonMatrix matrix{.w = part, .m = at::zeros_like(part), .g = p.grad.narrow(0, row, groups[group])};
        muon_step({&matrix, 1}, {.lr = 0.01}, config.muon);
      }
    }
    EXPECT_TRUE(at::allclose(w, p.master, 1e-5, 1e-6)) << name;
    EXPECT_FALSE(at::equal(before[i], p.master)) << name;
  }
}

TEST(Optimizer, AdamWForAllGivesEveryParameterBothMoments) {
  Fixture setup;
  Optimizer optimizer(setup.weights, no_clip("adamw"), at::kFloat);
  int64_t trained = 0;
  for (const Parameter& p : setup.weights.parameters()) trained += p.grad.defined() ? p.grad.numel() : 0;
  EXPECT_EQ(optimizer.state_bytes(), 2 * 4 * trained);
}

TEST(Optimizer, AnIndexerWithoutItsLossIsNotEvenDecayed) {
  Fixture setup({}, {.mtp = false, .indexer = false});
  const std::vector<Tensor> before = setup.copy();
  Optimizer optimizer(setup.weights, {}, at::kFloat);
  optimizer.step(0.1, optimizer.gradient_norms());
  int64_t n_seen = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const Parameter& p = setup.weights.parameters()[i];
    if (p.row.parameter != ParameterClass::kIndexer && !p.row.name.starts_with("mtp.")) continue;
    EXPECT_TRUE(at::equal(before[i], p.master)) << p.row.name;
    ++n_seen;
  }
  EXPECT_GT(n_seen, 20);
}

TEST(Optimizer, ClipsTheIndexerApartFromTheRest) {
  const auto update_of = [](double indexer_scale) {
    Fixture setup;
    OptimizerConfig config;
    config.kind = "adamw";
    config.adamw.epsilon = 1.0;   // makes AdamW's step depend on the gradient's size
    for (const Parameter& p : setup.weights.parameters())
      if (p.row.parameter == ParameterClass::kIndexer && p.grad.defined()) p.grad.mul_(indexer_scale);
    Optimizer optimizer(setup.weights, config, at::kFloat);
    optimizer.step(0.1, optimizer.gradient_norms());
    return setup.weights.parameter("layers.0.attn.wq_a.weight").master.clone();
  };
  EXPECT_TRUE(at::equal(update_of(1.0), update_of(1e4)));
}

TEST(Optimizer, NormsByClassAddUpAndMatchADirectSum) {
  Fixture setup;
  const GradientNorms norms = Optimizer(setup.weights, {}, at::kFloat).gradient_norms();
  double all = 0, expected = 0;
  for (const auto& [name, norm] : norms.by_class) all += norm * norm;
  for (const Parameter& p : setup.weights.parameters())
    if (p.grad.defined()) expected += p.grad.to(at::kDouble).square().sum().item<double>();
  EXPECT_NEAR(all, expected, 1e-9 * expected);
  EXPECT_NEAR(norms.trunk * norms.trunk + norms.indexer * norms.indexer, expected, 1e-9 * expected);
  EXPECT_TRUE(norms.finite());
  setup.weights.parameter("layers.1.attn.wkv.weight").grad[0][0] = std::nan("");
  EXPECT_FALSE(Optimizer(setup.weights, {}, at::kFloat).gradient_norms().finite());
}

TEST(Optimizer, FrozenClassesKeepTheirWeightsAndUnknownNamesAreErrors) {
  OptimizerConfig config;
  config.frozen = {"embedding", "routed experts"};
  Fixture setup(config);
  for (const Parameter& p : setup.weights.parameters()) {
    const bool frozen = p.row.parameter == ParameterClass::kEmbedding || p.row.parameter == ParameterClass::kRoutedExpert;
    EXPECT_EQ(p.grad.defined(), p.row.trainable() && !frozen) << p.row.name;
  }
  config.frozen = {"embeddings"};
  EXPECT_ERROR(frozen_rows(config, {}), ErrorKind::kConfig, "known classes: embedding, head");
}

TEST(Optimizer, ComputeCopiesFollowTheMastersUnlessTheyAreMoreThanRounded) {
  for (const char* kind : {"muon", "adamw"})
    for (const bool separate : {false, true}) {
      ModelWeights weights(test::all_layers_config(), {.compute_dtype = at::kBFloat16, .separate_compute = separate});
      initialise(weights, {.seed = 3, .std = 0.1});
      weights.enable_gradients();
      for (const Parameter& p : weights.parameters())
        if (p.grad.defined()) p.grad.copy_(p.master * 0.5 + 0.01);
      std::vector<Tensor> before;
      for (const Parameter& p : weights.parameters()) before.push_back(p.compute.clone());
      Optimizer optimizer(weights, no_clip(kind), at::kBFloat16);
      EXPECT_EQ(optimizer.keeps_copies(), !separate);
      optimizer.step(0.1, optimizer.gradient_norms());
      for (size_t i = 0; i < before.size(); ++i) {
        const Parameter& p = weights.parameters()[i];
        EXPECT_TRUE(at::equal(p.compute, separate ? before[i] : p.master.to(p.compute.scalar_type()))) << kind << " " << p.row.name;
        EXPECT_FALSE(p.grad.defined() && at::equal(p.master.to(p.compute.scalar_type()), before[i])) << kind << " " << p.row.name;   // it did move
      }
    }
}

TEST(Optimizer, TheTwinOfAResumedRunGoesOnWithTheSameBits) {
  const auto step = [](Fixture& s, Optimizer& o) { o.step(0.01, o.gradient_norms()); };
  Fixture straight, first, second;
  Optimizer a(straight.weights, {}, at::kFloat), b(first.weights, {}, at::kFloat);
  step(straight, a);
  step(straight, a);
  step(first, b);
  Optimizer c(second.weights, {}, at::kFloat);
  for (size_t i = 0; i < first.weights.parameters().size(); ++i) second.weights.parameters()[i].master.copy_(first.weights.parameters()[i].master);
  const auto from = b.states(), into = c.states();
  ASSERT_EQ(from.size(), into.size());
  for (size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(from[i].first, into[i].first);
    into[i].second.copy_(from[i].second);
  }
  c.set_n_steps(b.n_steps());
  step(second, c);
  for (size_t i = 0; i < first.weights.parameters().size(); ++i)
    EXPECT_TRUE(at::equal(straight.weights.parameters()[i].master, second.weights.parameters()[i].master)) << straight.weights.parameters()[i].row.name;
}

}  // namespace
}  // namespace temper
