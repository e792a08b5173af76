// Properties of the whole model that need no oracle: finite differences in double precision of every parameter (with MTP,
// balance loss and indexer loss), packed = separate documents, recomputation and repetition give the same bits, shapes on meta.

#include "model/deepseek_v4/model.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "objective/sft.h"
#include "support/expect_error.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

ModelConfig small_config() {
  ModelConfig c;
  c.vocab_size = 19, c.hidden_size = 12, c.n_layers = 3, c.n_heads = 4, c.head_dim = 8, c.rope_head_dim = 4, c.q_lora_rank = 6;
  c.o_groups = 2, c.o_lora_rank = 5, c.n_routed_experts = 5, c.top_k = 2, c.moe_intermediate_size = 6, c.n_hash_layers = 1;
  c.sliding_window = 5, c.compress_ratios = {0, 4, 128, 0}, c.index_n_heads = 6, c.index_head_dim = 8, c.index_top_k = 3;
  c.hc_mult = 3, c.hc_sinkhorn_iters = 4, c.hc_eps = 1e-3, c.rms_norm_eps = 1e-4, c.n_mtp_layers = 1, c.swiglu_limit = 3;
  return c;
}

// Values of ordinary size everywhere: nothing is zero or saturated.
void fill(ModelWeights& weights) {
  const ModelConfig& c = weights.config();
  for (const Parameter& p : weights.parameters()) {
    if (p.row.holds_ids()) {
      for (int64_t token = 0; token < p.row.shape[0]; ++token)
        for (int64_t k = 0; k < c.top_k; ++k) p.master[token][k] = (token * 3 + k) % c.n_routed_experts;
      continue;
    }
    const bool norm = p.row.name.find("norm") != std::string::npos;
    const bool wide = p.row.name.find("ffn.gate.weight") != std::string::npos;
    const double scale = p.row.shape.size() == 1 ? 0.3 : (wide ? 2.0 : 0.7) / std::sqrt(static_cast<double>(p.row.shape.back())) * 1.5;
    p.master.copy_(random_tensor(p.row.shape, p.row.name, at::kDouble, scale));
    if (norm || p.row.name.ends_with("_scale")) p.master.add_(1);
    if (p.row.name == "embed.weight") p.master.mul_(3);
  }
  weights.refresh_compute();
}

Batch make_batch(const std::vector<int64_t>& lengths, int64_t vocab_size, uint64_t salt = 0) {
  Batch batch;
  batch.document_lengths = lengths;
  int64_t n = 0;
  for (const int64_t length : lengths) n += length;
  std::vector<int64_t> ids, labels;
  const RandomStream stream(7 + salt, "ids");
  for (int64_t t = 0; t < n; ++t) {
    ids.push_back(static_cast<int64_t>(stream.below(static_cast<uint64_t>(t), static_cast<uint64_t>(vocab_size))));
    labels.push_back(t % 7 == 3 ? kIgnoredLabel : ids.back());
  }
  batch.token_ids = at::tensor(ids, at::kLong);
  batch.labels = at::tensor(labels, at::kLong);
  return batch;
}

// Thousands of passes over tiny tensors: a second thread only waits.
struct OneThread {
  OneThread() : before(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before); }
  int before;
};

// All losses with weights of comparable size.
struct Objective {
  double mtp = 0.4, balance = 0.3, indexer = 0.5;
  RecomputePolicies recompute{};
};

double objective(const Model& model, const Batch& batch, const Objective& weights, bool backward) {
  const int64_t V = model.config().vocab_size, n = batch.token_ids.size(0);
  ForwardOptions options{.training = true, .recompute = weights.recompute, .mtp = weights.mtp != 0,
                         .balance_scale = weights.balance / static_cast<double>(n), .indexer_scale = weights.indexer / static_cast<double>(n), .fp4_indexer = false};
  ForwardResult pass = model.forward(batch, options);
  const Targets targets = shifted_targets(batch, V);
  const double scale = 1.0 / static_cast<double>(n);
  const SftLoss lm = sft_loss(pass.hidden, model.head(), targets, scale);
  double total = lm.loss_sum * scale;
  std::vector<Tensor> grad_mtp;
  for (size_t i = 0; i < pass.mtp_hidden.size(); ++i) {
    const SftLoss mtp = sft_loss(pass.mtp_hidden[i], model.head(), shifted_targets(batch, V, 2 + static_cast<int64_t>(i)), weights.mtp * scale);
    total += mtp.loss_sum * weights.mtp * scale;
    grad_mtp.push_back(mtp.grad_hidden);
  }
  if (pass.balance_sum.defined()) total += pass.balance_sum.item<double>() * options.balance_scale;
  if (pass.indexer_sum.defined()) total += pass.indexer_sum.item<double>() * options.indexer_scale;
  if (backward) model.backward(pass, lm.grad_hidden, grad_mtp);
  return total;
}

// Central differences along one random direction for each parameter: every element takes part.
void check_finite_differences(const ModelConfig& config, const std::vector<int64_t>& lengths) {
  const OneThread one_thread;
  ModelWeights weights(config, {.compute_dtype = at::kDouble});
  fill(weights);
  weights.enable_gradients();
  const Model model(weights);
  const Batch batch = make_batch(lengths, config.vocab_size);
  // The indexer's teacher is detached: its loss must not be seen by the trunk's differences, so it has a test of its own below.
  const Objective terms{.indexer = 0};
  objective(model, batch, terms, true);
  std::vector<Tensor> grads;   // the head's would grow with every evaluation
  for (const Parameter& p : weights.parameters()) grads.push_back(p.grad.defined() ? p.grad.clone() : Tensor());
  constexpr double kStep = 1e-6;
  for (size_t i = 0; i < grads.size(); ++i) {
    const Parameter& p = weights.parameters()[i];
    if (!p.row.trainable()) continue;
    const Tensor direction = random_tensor(p.row.shape, p.row.name + ".direction", at::kDouble), saved = p.master.clone();
    const double analytic = (grads[i] * direction).sum().item<double>();
    p.master.add_(direction, kStep);
    const double above = objective(model, batch, terms, false);
    p.master.copy_(saved).add_(direction, -kStep);
    const double below = objective(model, batch, terms, false);
    p.master.copy_(saved);
    const double numeric = (above - below) / (2 * kStep);
    const double size = at::linalg_vector_norm(grads[i]).item<double>();
    EXPECT_NEAR(analytic, numeric, 2e-5 * size + 2e-9) << p.row.name;
  }
}

TEST(ModelGradients, AreFiniteDifferencesWithPackedDocumentsAndMtp) { check_finite_differences(small_config(), {9, 1, 17, 3}); }

TEST(ModelGradients, AreFiniteDifferencesForOtherShapes) {
  ModelConfig c = small_config();
  c.n_layers = 2, c.compress_ratios = {4, 0, 0, 0}, c.n_mtp_layers = 2, c.n_hash_layers = 0, c.hc_mult = 2, c.swiglu_limit = 0, c.o_groups = 1, c.sliding_window = 1;
  check_finite_differences(c, {14, 6});
}

TEST(ModelGradients, AreFiniteDifferencesWithHashLayersOnlyAndNoMtp) {
  ModelConfig c = small_config();
  c.n_layers = 2, c.compress_ratios = {128, 4}, c.n_mtp_layers = 0, c.n_hash_layers = 2, c.hc_mult = 5, c.top_k = 3;
  check_finite_differences(c, {131});
}

// The indexer learns from its own loss only, and nobody else sees that loss.
TEST(ModelGradients, TheIndexerLossReachesTheIndexerAlone) {
  const ModelConfig config = small_config();
  const OneThread one_thread;
  ModelWeights weights(config, {.compute_dtype = at::kDouble});
  fill(weights);
  weights.enable_gradients();
  const Model model(weights);
  const Batch batch = make_batch({21, 9}, config.vocab_size);
  std::vector<Tensor> with_loss, without;
  const auto gradients = [&](double indexer) {
    weights.zero_gradients();
    objective(model, batch, {.indexer = indexer}, true);
    std::vector<Tensor> grads;
    for (const Parameter& p : weights.parameters()) grads.push_back(p.grad.defined() ? p.grad.clone() : Tensor());
    return grads;
  };
  without = gradients(0);
  with_loss = gradients(0.5);
  for (size_t i = 0; i < with_loss.size(); ++i) {
    const Parameter& p = weights.parameters()[i];
    if (!p.grad.defined()) continue;
    if (p.row.parameter == ParameterClass::kIndexer) {
      EXPECT_EQ(without[i].abs().max().item<double>(), 0) << p.row.name;
      EXPECT_GT(with_loss[i].abs().max().item<double>(), 0) << p.row.name;
      // Finite differences of the reported loss: the teacher does not depend on the indexer while the selection stays.
      const Tensor direction = random_tensor(p.row.shape, p.row.name + ".direction", at::kDouble), saved = p.master.clone();
      constexpr double kStep = 1e-6;
      p.master.add_(direction, kStep);
      const double above = objective(model, batch, {}, false);
      p.master.copy_(saved).add_(direction, -kStep);
      const double below = objective(model, batch, {}, false);
      p.master.copy_(saved);
      EXPECT_NEAR((with_loss[i] * direction).sum().item<double>(), (above - below) / (2 * kStep),
                  2e-5 * at::linalg_vector_norm(with_loss[i]).item<double>() + 2e-9) << p.row.name;
    } else {
      EXPECT_TRUE(same_bits(with_loss[i], without[i])) << p.row.name;
    }
  }
}

TEST(Model, PackedDocumentsAreSeparateDocuments) {
  const ModelConfig config = small_config();
  const OneThread one_thread;
  ModelWeights weights(config, {.compute_dtype = at::kDouble});
  fill(weights);
  weights.enable_gradients();
  const Model model(weights);
  const std::vector<int64_t> lengths = {9, 1, 134, 3};
  const Batch packed = make_batch(lengths, config.vocab_size);
  const double scale = 1.0 / static_cast<double>(packed.token_ids.size(0));

  const auto gradients = [&](const std::vector<Batch>& batches) {
    weights.zero_gradients();
    double loss = 0;
    for (const Batch& batch : batches) {   // every loss divided by the tokens of all documents
      const double share = static_cast<double>(batch.token_ids.size(0)) * scale;
      ForwardResult pass = model.forward(batch, {.mtp = true, .balance_scale = 0.3 * scale, .indexer_scale = 0.5 * scale});
      const SftLoss lm = sft_loss(pass.hidden, model.head(), shifted_targets(batch, config.vocab_size), scale);
      const SftLoss mtp = sft_loss(pass.mtp_hidden[0], model.head(), shifted_targets(batch, config.vocab_size, 2), scale);
      loss += (lm.loss_sum + mtp.loss_sum) * scale + pass.balance_sum.item<double>() * 0.3 * scale;
      if (pass.indexer_sum.defined()) loss += pass.indexer_sum.item<double>() * 0.5 * scale;
      model.backward(pass, lm.grad_hidden, {mtp.grad_hidden});
      EXPECT_GT(share, 0);
    }
    std::vector<Tensor> grads;
    for (const Parameter& p : weights.parameters()) grads.push_back(p.grad.defined() ? p.grad.clone() : Tensor());
    return std::pair(loss, grads);
  };

  std::vector<Batch> separate;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    separate.push_back({.token_ids = packed.token_ids.narrow(0, start, length), .labels = packed.labels.narrow(0, start, length), .label_weights = {}, .document_lengths = {length}});
    start += length;
  }
  const auto [packed_loss, packed_grads] = gradients({packed});
  const auto [separate_loss, separate_grads] = gradients(separate);
  EXPECT_NEAR(packed_loss, separate_loss, 1e-12 * packed_loss);
  for (size_t i = 0; i < packed_grads.size(); ++i)
    if (packed_grads[i].defined()) {
      EXPECT_TRUE(close(packed_grads[i], separate_grads[i], 1e-10)) << weights.parameters()[i].row.name;
    }
}

// Several micro-batches, hash routing, a compressor without entries, experts without tokens, untrained MTP and indexers, recomputation: the
// gradients are those on cleared memory, whatever was left there.
TEST(Model, AStepsFirstGradientsOverwriteWhatTheLastStepLeft) {
  const ModelConfig config = small_config();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
    for (const Objective& terms : {Objective{}, Objective{.mtp = 0, .indexer = 0, .recompute = {{.attention = true, .ffn = true}}}}) {
      ModelWeights weights(config, {.compute_dtype = dtype});
      fill(weights);
      weights.enable_gradients();
      const Model model(weights);
      const auto run = [&] {
        for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{3}, {21, 9}, {2}}) objective(model, make_batch(lengths, config.vocab_size), terms, true);
      };
      run();
      std::vector<Tensor> expected;
      int64_t untouched = 0;
      for (const Parameter& p : weights.parameters()) {
        expected.push_back(p.grad.defined() ? p.grad.clone() : Tensor());
        if (!p.grad.defined()) continue;
        untouched += p.grad.eq(0).all().item<bool>();
        p.grad.fill_(std::nan(""));
      }
      EXPECT_GT(untouched, 0);   // the compressor of ratio 128, at least
      weights.begin_gradients();
      run();
      weights.finish_gradients();
      for (size_t i = 0; i < expected.size(); ++i) {
        if (!expected[i].defined()) continue;
        EXPECT_TRUE(at::equal(weights.parameters()[i].grad, expected[i])) << weights.parameters()[i].row.name;
      }
    }
}

// With the indexer's loss it scores again, without it its choice is kept.
void check_recomputation(double indexer) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const ModelConfig config = small_config();
    ModelWeights weights(config, {.compute_dtype = dtype});
    fill(weights);
    weights.enable_gradients();
    const Model model(weights);
    const Batch batch = make_batch({40, 23}, config.vocab_size);
    std::vector<Tensor> first;
    double first_loss = 0;
    RecomputePolicies mixed;   // another one for each block, MTP included
    for (int64_t n = 0; n < config.n_layers + config.n_mtp_layers; ++n) mixed.push_back({.attention = n % 2 == 0, .ffn = n % 3 == 1});
    for (const RecomputePolicies& policy : {RecomputePolicies{}, RecomputePolicies{}, RecomputePolicies{{.attention = true}}, RecomputePolicies{{.ffn = true}},
                                            RecomputePolicies{{.attention = true, .ffn = true}}, mixed}) {
      weights.zero_gradients();
      const double loss = objective(model, batch, {.indexer = indexer, .recompute = policy}, true);
      if (first.empty()) first_loss = loss;
      EXPECT_EQ(loss, first_loss);
      for (size_t i = 0; i < weights.parameters().size(); ++i) {
        const Parameter& p = weights.parameters()[i];
        if (first.size() <= i) {
          first.push_back(p.grad.defined() ? p.grad.clone() : Tensor());
        } else if (p.grad.defined()) {
          EXPECT_TRUE(same_bits(p.grad, first[i])) << p.row.name;
        }
      }
    }
  }
}

TEST(Model, RecomputationAndRepetitionGiveTheSameBits) { check_recomputation(/*indexer=*/0.5); }
TEST(Model, RecomputationThatKeepsTheIndexersChoiceGivesTheSameBits) { check_recomputation(/*indexer=*/0); }

TEST(Model, GivesShapesOnMeta) {
  const ModelConfig config = small_config();
  ModelWeights weights(config, {.compute_dtype = at::kBFloat16, .device = at::kMeta});
  weights.enable_gradients();
  const Model model(weights);
  const auto ids = at::TensorOptions().dtype(at::kLong).device(at::kMeta);
  const Batch batch{.token_ids = at::empty({150}, ids), .labels = {}, .label_weights = {}, .document_lengths = {140, 10}};
  ForwardResult pass = model.forward(batch, {.mtp = true, .balance_scale = 0.1});
  EXPECT_EQ(pass.hidden.sizes(), (at::IntArrayRef{150, config.hidden_size}));
  const SftLoss lm = sft_loss(pass.hidden, model.head(), shifted_targets(batch, config.vocab_size), 1.0);
  EXPECT_EQ(lm.grad_hidden.sizes(), pass.hidden.sizes());
  model.backward(pass, lm.grad_hidden, {lm.grad_hidden});
  EXPECT_EQ(pass.saved, nullptr);
}

TEST(Model, NothingIsKeptWithoutTrainingAndTheHiddenStateIsTheSame) {
  const ModelConfig config = small_config();
  ModelWeights weights(config, {});
  fill(weights);
  const Model model(weights);
  const Batch batch = make_batch({40}, config.vocab_size);
  const ForwardResult evaluated = model.forward(batch, {.training = false}), trained = model.forward(batch, {});
  EXPECT_EQ(evaluated.saved, nullptr);
  EXPECT_TRUE(same_bits(evaluated.hidden, trained.hidden));
}

TEST(Model, BadBatchesAndTablesAreErrors) {
  const ModelConfig config = small_config();
  ModelWeights weights(config, {});
  fill(weights);
  const Model model(weights);
  Batch batch = make_batch({8}, config.vocab_size);
  batch.token_ids[3] = config.vocab_size;
  EXPECT_ERROR(model.forward(batch, {}), ErrorKind::kData, "token id 19 is outside the vocabulary of 19");
  batch = make_batch({8}, config.vocab_size);
  batch.document_lengths = {9};
  EXPECT_ERROR(model.forward(batch, {}), ErrorKind::kData, "the documents hold 9 tokens, there are 8 ids");
  weights.parameter("layers.0.ffn.gate.tid2eid").master.zero_();
  const Model damaged(weights);
  EXPECT_ERROR(damaged.forward(make_batch({8}, config.vocab_size), {}), ErrorKind::kCheckpoint, "names expert 0 twice for token 0");
}

}  // namespace
}  // namespace temper
