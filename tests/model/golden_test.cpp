// The whole model against transformers (tests/golden: float32, CPU, eager; made by tools/oracle): logits, loss and every gradient.

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "model/deepseek_v4/model.h"
#include "objective/sft.h"
#include "support/tensors.h"
#include "test_places.h"

namespace temper {
namespace {

using namespace test;

struct Golden {
  ModelConfig config;
  Batch batch;
  SafetensorsFolder expected;
  Json notes;

  explicit Golden(const std::string& name) : Golden(fs::path(TEMPER_SOURCE_DIR) / "tests/golden" / name) {}
  explicit Golden(const fs::path& folder)
      : config(read_model_config(folder)), expected(folder / "reference" / "golden.safetensors"), notes(read_json(folder / "expected.json")) {
    const Json tokens = read_json(folder / "tokens.json");
    std::vector<int64_t> ids, labels;
    for (const Json& row : tokens.at("input_ids")) {
      for (const Json& id : row) ids.push_back(id.get<int64_t>());
      batch.document_lengths.push_back(static_cast<int64_t>(row.size()));
    }
    batch.token_ids = at::tensor(ids, at::kLong);
    if (!tokens.contains("labels")) return;
    for (const Json& row : tokens.at("labels"))
      for (const Json& label : row) labels.push_back(label.get<int64_t>());
    batch.labels = at::tensor(labels, at::kLong);
  }
};

void load(ModelWeights& weights, const SafetensorsFolder& files) {
  for (const Parameter& p : weights.parameters()) p.master.copy_(files.tensor(p.row.name));
  weights.refresh_compute();
}

// Zero gradients are listed, not stored.
bool is_zero(const Golden& golden, const std::string& name) {
  const Json& zero = golden.notes.at("zero");
  return std::find(zero.begin(), zero.end(), Json(name)) != zero.end();
}

struct Outcome {
  Tensor logits;
  double loss;
};

Outcome run(const Golden& golden, ModelWeights& weights) {
  weights.enable_gradients();
  const Model model(weights);
  ForwardResult pass = model.forward(golden.batch, {});
  const Targets targets = shifted_targets(golden.batch, golden.config.vocab_size);
  const double scale = 1.0 / static_cast<double>(targets.n_targets);
  const SftLoss loss = sft_loss(pass.hidden, model.head(), targets, scale);
  Outcome outcome{model.logits(pass.hidden), loss.loss_sum * scale};
  model.backward(pass, loss.grad_hidden);
  return outcome;
}

class GoldenModel : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenModel, AgreesWithTransformersInFloat32) {
  const Golden golden{std::string(GetParam())};
  ModelWeights weights(golden.config, {.mtp = false});
  load(weights, SafetensorsFolder(fs::path(TEMPER_SOURCE_DIR) / "tests/golden" / GetParam() / "model.safetensors"));
  const Outcome outcome = run(golden, weights);
  EXPECT_TRUE(close(outcome.logits.flatten(), golden.expected.tensor("logits").flatten(), kModelLogits.float32));
  EXPECT_NEAR(outcome.loss, golden.expected.tensor("loss").item<double>(), kModelLogits.float32 * outcome.loss);
  for (const Parameter& p : weights.parameters()) {
    if (!p.row.trainable()) continue;
    if (is_zero(golden, "grad." + p.row.name)) {
      EXPECT_EQ(p.grad.abs().max().item<double>(), 0) << p.row.name;
      continue;
    }
    // One stream: the norm that follows hc_head takes its factor out, so this gradient is the rounding error of a zero.
    if (golden.config.hc_mult == 1 && p.row.name.starts_with("hc_head")) continue;
    const double bound = p.row.name.ends_with("_scale") ? kModelScaleGrad.float32 : kModelLogits.float32;
    EXPECT_TRUE(close(p.grad, golden.expected.tensor("grad." + p.row.name), bound)) << p.row.name;
  }
}

// The error of transformers' own bf16 against its float32 is stored for each tensor.  A single mHC scale or an expert whose
// tokens were routed otherwise is luck; logits, loss, the whole gradient and the middle of the single tensors are not.
TEST_P(GoldenModel, ErrsInBfloat16LessThanTwiceWhatTransformersDoes) {
  const Golden golden{std::string(GetParam())};
  ModelWeights weights(golden.config, {.compute_dtype = at::kBFloat16, .mtp = false});
  load(weights, SafetensorsFolder(fs::path(TEMPER_SOURCE_DIR) / "tests/golden" / GetParam() / "model.safetensors"));
  const Outcome outcome = run(golden, weights);
  const Json& theirs = golden.notes.at("transformers_bf16_error");
  EXPECT_TRUE(close(outcome.logits.flatten(), golden.expected.tensor("logits").flatten(), 2 * theirs.at("logits").get<double>()));

  double own_squares = 0, their_squares = 0;
  std::vector<double> ratios;
  for (const Parameter& p : weights.parameters()) {
    const std::string name = "grad." + p.row.name;
    if (!p.row.trainable() || is_zero(golden, name)) continue;
    const Tensor expected = golden.expected.tensor(name);
    const double size = at::linalg_vector_norm(expected).item<double>(), own = relative_error(p.grad, expected), other = theirs.at(name).get<double>();
    if (golden.config.hc_mult == 1 && p.row.name.starts_with("hc_head")) continue;   // see above
    own_squares += own * own * size * size;
    their_squares += other * other * size * size;
    ratios.push_back(own / other);
  }
  EXPECT_LT(own_squares, 4 * their_squares);
  std::nth_element(ratios.begin(), ratios.begin() + static_cast<ptrdiff_t>(ratios.size() / 2), ratios.end());
  EXPECT_LT(ratios[ratios.size() / 2], 1.2);
}

INSTANTIATE_TEST_SUITE_P(Configs, GoldenModel, ::testing::Values("clamped", "epsilons", "groups", "hashed", "mixed", "pro", "selection", "short"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace temper
