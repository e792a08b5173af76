#include "train/step_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "kernels/quant.h"
#include "model/deepseek_v4/init.h"
#include "support/one_thread.h"
#include "support/tensors.h"
#include "support/tiny_run.h"
#include "train/train_step.h"

namespace temper {
namespace {

Batch batch_of(const std::vector<int64_t>& lengths, uint64_t seed) {
  int64_t total = 0;
  for (const int64_t length : lengths) total += length;
  const RandomStream stream(seed, "tests/batch");
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < total; ++i) ids.push_back(static_cast<int64_t>(stream.below(static_cast<uint64_t>(i), 288)));
  return {.token_ids = at::tensor(ids, at::kLong), .labels = {}, .label_weights = {}, .document_lengths = lengths};
}

Batch joined(const Batch& a, const Batch& b) {
  Batch both{.token_ids = at::cat({a.token_ids, b.token_ids}), .labels = {}, .label_weights = {}, .document_lengths = a.document_lengths};
  both.document_lengths.insert(both.document_lengths.end(), b.document_lengths.begin(), b.document_lengths.end());
  return both;
}

StepModelConfig all_losses() {
  StepModelConfig c;
  c.mtp_weight = 0.3;
  c.balance_weight = 0.01;
  c.indexer_weight = 1.0;
  return c;
}
StepModelConfig quantised(bool indexer) {
  StepModelConfig c;
  c.qat = {.enabled = true, .indexer = indexer};
  return c;
}

struct Fixture {
  test::OneThread one_thread;
  ModelWeights weights;
  StepModelConfig config;
  explicit Fixture(StepModelConfig c = all_losses())
      : weights(test::tiny_run_config(), {.separate_compute = c.qat.enabled}), config(c) {
    initialise(weights, {.seed = 5, .std = 0.1, .hc_scale = 0.5});
    weights.enable_gradients();
  }
  StepModel model() { return StepModel(weights, config); }
};

// A step's loss and gradient are those of its tokens, however they are cut into micro-batches of unequal size.
TEST(StepModel, AccumulationDoesNotChangeLossOrGradient) {
  const Batch a = batch_of({40, 9}, 1), b = batch_of({17}, 2);
  Fixture whole, parts;
  StepModel one = whole.model(), two = parts.model();
  const LossCounts counts = one.count({joined(a, b)});
  LossSums first = one.forward_backward(joined(a, b), counts);
  LossSums second;
  const LossCounts same = two.count({a, b});
  EXPECT_EQ(same.lm, counts.lm);
  EXPECT_EQ(counts.lm, 39 + 8 + 16);            // by hand: a document of n tokens has n - 1 targets,
  EXPECT_EQ(counts.mtp[0], 38 + 7 + 15);        // n - 2 second next ones,
  EXPECT_EQ(counts.queries, 37 + 6 + 14);       // and n - 3 queries that see an entry of 4 tokens
  second.add(two.forward_backward(a, same));
  second.add(two.forward_backward(b, same));
  const LossMeans left = one.means(first, counts), right = two.means(second, same);
  EXPECT_NEAR(left.total, right.total, 1e-5 * left.total);
  EXPECT_NEAR(left.mtp, right.mtp, 1e-5 * left.mtp);
  for (size_t i = 0; i < whole.weights.parameters().size(); ++i) {
    const Parameter& p = whole.weights.parameters()[i];
    if (!p.grad.defined()) continue;
    EXPECT_TRUE(test::close(parts.weights.parameters()[i].grad, p.grad, test::kAccumulation)) << p.row.name;
  }
}

// The reported total is what the gradient belongs to: a step of gradient descent of size h lowers it by h * |g|^2.
TEST(StepModel, TheGradientIsThatOfTheReportedTotal) {
  StepModelConfig c = all_losses();
  c.indexer_weight = 0;   // its teacher is held fixed for its gradient
  Fixture f(c);
  StepModel model = f.model();
  const std::vector<Batch> batches = {batch_of({33}, 1)};
  const LossCounts counts = model.count(batches);
  const double before = model.means(model.forward_backward(batches[0], counts), counts).total;
  double squared = 0;
  for (const Parameter& p : f.weights.parameters())
    if (p.grad.defined()) squared += p.grad.to(at::kDouble).square().sum().item<double>();
  const double h = 1e-3 / squared;   // lowers the loss by 0.001
  for (const Parameter& p : f.weights.parameters())
    if (p.grad.defined()) p.master.sub_(p.grad, h);
  model.refresh();
  f.weights.zero_gradients();
  const double after = model.means(model.forward_backward(batches[0], counts), counts).total;
  EXPECT_NEAR(before - after, 1e-3, 5e-5);   // the second-order term
}

TEST(StepModel, HeldOutForwardGivesTheLanguageModelLossOfTraining) {
  Fixture f;
  StepModel model = f.model();
  const Batch batch = batch_of({50, 20}, 3);
  EXPECT_NEAR(model.forward(batch), model.forward_backward(batch, model.count({batch})).lm, 1e-4);
}

TEST(StepModel, QuantisationAwareComputesWithWhatTheOfficialLayoutHolds) {
  Fixture f(quantised(false));
  StepModel model = f.model();
  model.refresh();
  int64_t n_changed = 0;
  for (const Parameter& p : f.weights.parameters()) {
    if (p.row.dtype == StoredDtype::kF32 || p.row.holds_ids()) {
      EXPECT_TRUE(at::equal(p.compute, p.master)) << p.row.name;
      continue;
    }
    // Through the bytes of the files, as an export and an import go.
    Tensor stored = p.master.to(at::kBFloat16).to(at::kFloat);
    if (p.row.encoding == Encoding::kFp4Block32) {
      const Quantized q = quantize_fp4_block(p.master);
      stored = dequantize_fp4_block(q.codes, q.scales).value;
    } else if (p.row.encoding == Encoding::kFp8Block128) {
      const Quantized q = quantize_fp8_block(p.master);
      stored = dequantize_fp8_block(q.codes, q.scales).value;
    }
    EXPECT_TRUE(at::equal(p.compute, stored)) << p.row.name;
    n_changed += !at::equal(p.compute, p.master);
  }
  EXPECT_GT(n_changed, 20);
}

TEST(StepModel, QuantisationAwareGradientsReachTheMasters) {
  Fixture f(quantised(true));
  StepModel model = f.model();
  model.refresh();
  const Batch batch = batch_of({40}, 1);
  model.forward_backward(batch, model.count({batch}));
  EXPECT_GT(f.weights.parameter("layers.1.ffn.experts.0.w1.weight").grad.abs().sum().item<double>(), 0);
}

StepBatch step_of(std::vector<Batch> batches) {
  StepBatch step;
  step.micro_batches = std::move(batches);
  return step;
}

TEST(TrainStep, ANonFiniteLossChangesNoWeightAndNoOptimizerState) {
  Fixture f{StepModelConfig{}};
  StepModel model = f.model();
  Optimizer optimizer(f.weights, {}, at::kFloat);
  Recovery recovery(3);
  Batch bad = batch_of({20}, 1);
  bad.label_weights = at::ones({20}).mul_(HUGE_VAL);
  std::vector<Tensor> before;
  for (const Parameter& p : f.weights.parameters()) before.push_back(p.master.clone());
  const StepResult result = train_step(model, optimizer, recovery, step_of({bad}), {.step = 1, .lr = 0.1});
  EXPECT_TRUE(result.skipped);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(at::equal(before[i], f.weights.parameters()[i].master));
  for (const auto& [name, state] : optimizer.states()) EXPECT_EQ(state.abs().max().item<float>(), 0.0f) << name;
  EXPECT_EQ(optimizer.n_steps(), 0);
  EXPECT_FALSE(train_step(model, optimizer, recovery, step_of({batch_of({20}, 1)}), {.step = 2, .lr = 1e-3}).skipped);
}

TEST(TrainStep, LowersTheLossAndMovesTheRouterBiasAgainstTheLoad) {
  Fixture f{StepModelConfig{}};
  StepModel model = f.model();
  Optimizer optimizer(f.weights, {}, at::kFloat);
  Recovery recovery(3);
  const StepBatch batch = step_of({batch_of({64}, 1)});
  const double first = train_step(model, optimizer, recovery, batch, {.step = 1, .lr = 1e-2, .router_bias_speed = 0.001}).loss;
  double last = first;
  for (int64_t step = 2; step <= 6; ++step) last = train_step(model, optimizer, recovery, batch, {.step = step, .lr = 1e-2, .router_bias_speed = 0.001}).loss;
  EXPECT_LT(last, first - 0.3);
  const Tensor bias = f.weights.parameter("layers.1.ffn.gate.bias").master;
  EXPECT_GT(bias.abs().max().item<float>(), 5e-4f);
  EXPECT_LT(bias.abs().max().item<float>(), 6.1e-3f);   // six steps of 0.001
}

}  // namespace
}  // namespace temper
