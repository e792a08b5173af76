// The sub-layer against the slow twin of tests/support/attention_twin.cpp and its autograd gradients, against finite
// differences, and against itself (packed documents, recomputation, meta tensors, repeated runs).

#include "ops/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cpu/isa.h"
#include "support/attention_twin.h"
#include "support/expect_error.h"
#include "support/tensors.h"
#include "tensor/probe.h"

namespace temper {
namespace {

using namespace test;

// Shorter than the window and than a block; not multiples of 4 and 128; longer than index_top_k * 4; several documents.
const std::vector<std::pair<int64_t, std::vector<int64_t>>> kModes = {
    {0, {3}}, {0, {1, 17, 6}}, {4, {3}}, {4, {4}}, {4, {11}}, {4, {2, 37, 9, 16}}, {128, {127, 3}}, {128, {128}}, {128, {131, 5, 260}}};

struct Outcome {
  Tensor out, grad_u, indexer_loss;
  AttentionWeights weights;
};

Outcome run_product(const AttentionCase& c, at::ScalarType dtype, const AttentionOptions& options, double indexer_scale = 0.5) {
  Outcome run{.out = {}, .grad_u = {}, .indexer_loss = {}, .weights = random_weights(c.config, dtype)};
  const Tensor u = random_tensor({c.n_tokens(), c.config.hidden_size}, "u", dtype);
  const Tensor grad_out = random_tensor({c.n_tokens(), c.config.hidden_size}, "grad_out", dtype);
  const AttentionContext context = c.context(dtype);
  const AttentionForward forward = attention(u, run.weights, c.config, context, options);
  run.out = forward.out;
  if (forward.saved.indexer_loss) run.indexer_loss = forward.saved.indexer_loss->loss;
  run.grad_u = attention_backward(grad_out, run.weights, c.config, context, options, forward.saved, indexer_scale);
  return run;
}

// The same numbers in float64 or float32 through the twin and autograd.
Outcome run_twin(const AttentionCase& c, at::ScalarType dtype, at::ScalarType compute, bool fp4 = false, double indexer_scale = 0.5) {
  Outcome run{.out = {}, .grad_u = {}, .indexer_loss = {}, .weights = random_weights(c.config, dtype)};
  for (auto& [name, weight] : named_weights(run.weights)) weight->value = weight->value.to(compute).requires_grad_();
  const Tensor u = random_tensor({c.n_tokens(), c.config.hidden_size}, "u", dtype).to(compute).requires_grad_();
  const Tensor grad_out = random_tensor({c.n_tokens(), c.config.hidden_size}, "grad_out", dtype).to(compute);
  const TwinResult result = attention_twin(u, run.weights, c, fp4);
  Tensor loss = (result.out * grad_out).sum();
  if (result.indexer_loss.defined()) loss = loss + indexer_scale * result.indexer_loss;
  loss.backward();
  run.out = result.out.detach();
  run.indexer_loss = result.indexer_loss;
  run.grad_u = u.grad();
  for (auto& [name, weight] : named_weights(run.weights)) weight->grad = weight->value.grad().defined() ? weight->value.grad() : at::zeros_like(weight->value);
  return run;
}

void expect_same(Outcome& product, Outcome& twin, at::ScalarType dtype) {
  EXPECT_TRUE(close(product.out, twin.out, pick(kAttention, dtype)));
  EXPECT_TRUE(close(product.grad_u, twin.grad_u, pick(kAttentionGrad, dtype)));
  if (product.indexer_loss.defined()) {
    EXPECT_TRUE(close(product.indexer_loss, twin.indexer_loss, pick(kIndexerGrad, dtype)));
  }
  const auto product_rows = named_weights(product.weights), twin_rows = named_weights(twin.weights);
  for (size_t i = 0; i < product_rows.size(); ++i) {
    SCOPED_TRACE(product_rows[i].first);
    const Tolerance& tolerance = product_rows[i].first.starts_with("indexer.") ? kIndexerGrad : kAttentionGrad;
    EXPECT_TRUE(close(product_rows[i].second->grad, twin_rows[i].second->grad, pick(tolerance, dtype)));
  }
}

TEST(Attention, AgreesWithTheTwinAndItsAutogradInEveryMode) {
  for (const auto& [ratio, lengths] : kModes)
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      const AttentionCase c = small_case(ratio, lengths);
      Outcome twin = run_twin(c, dtype, at::kDouble);
      for (const Isa isa : available_isas()) {
        const ForceIsa force(isa);
        SCOPED_TRACE(fmt::format("{} ratio {} lengths {} {}", isa_name(isa), ratio, shape_text(lengths), dtype_name(dtype)));
        Outcome product = run_product(c, dtype, {.probe_prefix = "", .train_indexer = ratio == 4});
        expect_same(product, twin, dtype);
      }
    }
}

// Sizes that share no factor with vectors: 6 heads of 20 (6 rotated), 3 groups, window 9, no YaRN, one query rank of 7.
TEST(Attention, AgreesWithTheTwinForOddSizes) {
  for (const auto& [ratio, lengths] : {std::pair<int64_t, std::vector<int64_t>>{0, {25, 2}}, {4, {50, 6}}, {128, {140}}}) {
    SCOPED_TRACE(fmt::format("ratio {}", ratio));
    AttentionCase c = small_case(ratio, lengths);
    c.config = {.hidden_size = 19, .n_heads = 6, .head_dim = 20, .rope_head_dim = 6, .q_lora_rank = 7, .o_groups = 3, .o_lora_rank = 5, .sliding_window = 9,
                .compress_ratio = ratio, .index_n_heads = 17, .index_head_dim = 10, .index_top_k = 5, .rms_norm_eps = 1e-6};
    c.main = {.rope_head_dim = 6, .theta = 50, .yarn = {}};
    c.compress = {.rope_head_dim = 6, .theta = 500, .yarn = {}};
    Outcome product = run_product(c, at::kFloat, {.probe_prefix = "", .train_indexer = ratio == 4});
    Outcome twin = run_twin(c, at::kFloat, at::kDouble);
    expect_same(product, twin, at::kFloat);
  }
}

TEST(Attention, FrozenWeightsTakeNoGradientAndChangeNoOther) {
  const AttentionCase c = small_case(4, {30});
  const AttentionContext context = c.context(at::kFloat);
  const Tensor u = random_tensor({30, c.config.hidden_size}, "u"), grad_out = random_tensor(u.sizes(), "grad_out");
  AttentionWeights all = random_weights(c.config, at::kFloat), only_sink = random_weights(c.config, at::kFloat, /*trained=*/false);
  only_sink.attn_sink = random_weights(c.config, at::kFloat).attn_sink;
  const AttentionOptions options{.probe_prefix = "", .train_indexer = true};
  const Tensor grad_u = attention_backward(grad_out, all, c.config, context, options, attention(u, all, c.config, context, options).saved, 1.0);
  const Tensor frozen = attention_backward(grad_out, only_sink, c.config, context, options, attention(u, only_sink, c.config, context, options).saved, 1.0);
  EXPECT_TRUE(same_bits(grad_u, frozen));
  EXPECT_TRUE(same_bits(all.attn_sink.grad, only_sink.attn_sink.grad));
  EXPECT_FALSE(only_sink.wq_a.grad.defined());
}

TEST(Attention, GradientsOfSeveralMicroBatchesAreSummed) {
  const AttentionCase c = small_case(128, {140});
  const AttentionContext context = c.context(at::kFloat);
  const Tensor u = random_tensor({140, c.config.hidden_size}, "u"), grad_out = random_tensor(u.sizes(), "grad_out");
  AttentionWeights once = random_weights(c.config, at::kFloat), twice = random_weights(c.config, at::kFloat);
  const AttentionSaved saved = attention(u, once, c.config, context, {}).saved;
  attention_backward(grad_out, once, c.config, context, {}, saved);
  for (int i = 0; i < 2; ++i) attention_backward(grad_out, twice, c.config, context, {}, saved);
  const auto once_rows = named_weights(once), twice_rows = named_weights(twice);
  for (size_t i = 0; i < once_rows.size(); ++i) EXPECT_TRUE(close(twice_rows[i].second->grad, once_rows[i].second->grad * 2, 1e-6)) << once_rows[i].first;
}

TEST(Attention, IsWithinRoundingInBf16) {
  for (const auto& [ratio, lengths] : {std::pair<int64_t, std::vector<int64_t>>{0, {40}}, {4, {11, 9}}, {128, {140, 200}}}) {
    SCOPED_TRACE(fmt::format("ratio {}", ratio));
    const AttentionCase c = small_case(ratio, lengths);   // at most 3 entries with ratio 4: rounding cannot change the selection
    Outcome product = run_product(c, at::kBFloat16, {.probe_prefix = "", .train_indexer = ratio == 4});
    Outcome twin = run_twin(c, at::kBFloat16, at::kDouble);
    EXPECT_EQ(product.out.scalar_type(), at::kBFloat16);
    EXPECT_EQ(product.grad_u.scalar_type(), at::kBFloat16);
    expect_same(product, twin, at::kBFloat16);
  }
}

TEST(Attention, Fp4IndexerSelectsByRoundedScoresAndPassesGradientsThrough) {
  AttentionCase c = small_case(4, {37, 9});
  c.config.index_head_dim = 32;
  Outcome product = run_product(c, at::kFloat, {.probe_prefix = "", .train_indexer = true, .fp4_indexer = true});
  Outcome twin = run_twin(c, at::kFloat, at::kDouble, /*fp4=*/true), without = run_twin(c, at::kFloat, at::kDouble);
  expect_same(product, twin, at::kFloat);
  EXPECT_GT(relative_error(product.weights.indexer->wq_b.grad, without.weights.indexer->wq_b.grad), 1e-2);   // it does round
}

TEST(Attention, GradientsAreFiniteDifferences) {
  for (const auto& [ratio, lengths] : {std::pair<int64_t, std::vector<int64_t>>{0, {9, 3}}, {4, {21, 3}}, {128, {130}}}) {
    const AttentionCase c = small_case(ratio, lengths);
    const AttentionContext context = c.context(at::kDouble);
    AttentionWeights weights = random_weights(c.config, at::kDouble);
    const Tensor u = random_tensor({c.n_tokens(), c.config.hidden_size}, "u", at::kDouble), grad_out = random_tensor(u.sizes(), "grad_out", at::kDouble);
    const AttentionForward forward = attention(u, weights, c.config, context, {});
    const Tensor grad_u = attention_backward(grad_out, weights, c.config, context, {}, forward.saved);

    const auto loss_at = [&](const Tensor& input) { return (attention(input, weights, c.config, context, {}).out * grad_out).sum().item<double>(); };
    constexpr double kStep = 1e-6;
    const auto expect_slope = [&](const std::string& name, const Tensor& grad, Tensor& value, const auto& loss) {
      const Tensor direction = random_tensor(value.sizes(), name + ".direction", at::kDouble), origin = value;
      value = origin + kStep * direction;
      const double above = loss();
      value = origin - kStep * direction;
      const double below = loss();
      value = origin;
      const double slope = (above - below) / (2 * kStep), expected = (grad * direction).sum().item<double>();
      EXPECT_NEAR(slope, expected, kFiniteDifference * (std::abs(expected) + 1)) << "ratio " << ratio << " " << name;
    };
    Tensor input = u;
    expect_slope("u", grad_u, input, [&] { return loss_at(input); });
    for (auto& [name, weight] : named_weights(weights)) expect_slope(name, weight->grad, weight->value, [&] { return loss_at(u); });
  }
}

TEST(Attention, IndexerGradientsAreFiniteDifferencesOfItsLossAndReachNothingElse) {
  const AttentionCase c = small_case(4, {23, 3, 10});
  const AttentionContext context = c.context(at::kDouble);
  AttentionWeights weights = random_weights(c.config, at::kDouble);
  const Tensor u = random_tensor({c.n_tokens(), c.config.hidden_size}, "u", at::kDouble);
  const AttentionOptions options{.probe_prefix = "", .train_indexer = true};
  const AttentionForward forward = attention(u, weights, c.config, context, options);
  const Tensor grad_u = attention_backward(at::zeros_like(u), weights, c.config, context, options, forward.saved, /*indexer_scale=*/1.0);
  EXPECT_EQ(grad_u.abs().max().item<double>(), 0);
  for (auto& [name, weight] : named_weights(weights)) {
    if (!name.starts_with("indexer.")) {
      EXPECT_EQ(weight->grad.abs().max().item<double>(), 0) << name;
      continue;
    }
    constexpr double kStep = 1e-7;
    const Tensor direction = random_tensor(weight->value.sizes(), name + ".direction", at::kDouble), origin = weight->value;
    const auto loss = [&](double step) {
      weight->value = origin + step * direction;
      return attention(u, weights, c.config, context, options).saved.indexer_loss->loss.item<double>();
    };
    const double slope = (loss(kStep) - loss(-kStep)) / (2 * kStep), expected = (weight->grad * direction).sum().item<double>();
    weight->value = origin;
    EXPECT_NEAR(slope, expected, kFiniteDifference * (std::abs(expected) + 1)) << name;
  }
}

TEST(Attention, PackedDocumentsAreSeparateDocuments) {
  for (const int64_t ratio : {0, 4, 128}) {
    const std::vector<int64_t> lengths = {70, 3, 261};
    const AttentionCase packed = small_case(ratio, lengths);
    AttentionWeights weights = random_weights(packed.config, at::kFloat);
    const Tensor u = random_tensor({packed.n_tokens(), packed.config.hidden_size}, "u"), grad_out = random_tensor(u.sizes(), "grad_out");
    const AttentionContext context = packed.context(at::kFloat);
    const AttentionForward all = attention(u, weights, packed.config, context, {});
    const Tensor grad_all = attention_backward(grad_out, weights, packed.config, context, {}, all.saved);
    int64_t start = 0;
    for (const int64_t length : lengths) {
      const AttentionCase single = small_case(ratio, {length});
      const AttentionContext own = single.context(at::kFloat);
      const AttentionForward one = attention(u.narrow(0, start, length), weights, single.config, own, {});
      EXPECT_TRUE(close(all.out.narrow(0, start, length), one.out, kAttention.float32));
      const Tensor grad = attention_backward(grad_out.narrow(0, start, length), weights, single.config, own, {}, one.saved);
      EXPECT_TRUE(close(grad_all.narrow(0, start, length), grad, kAttentionGrad.float32));
      start += length;
    }
  }
}

TEST(Attention, RecomputationGivesTheSameBits) {
  for (const int64_t ratio : {0, 4, 128}) {
    const AttentionCase c = small_case(ratio, {30, 150});
    Outcome kept = run_product(c, at::kFloat, {.probe_prefix = "", .train_indexer = ratio == 4});
    Outcome again = run_product(c, at::kFloat, {.probe_prefix = "", .train_indexer = ratio == 4, .fp4_indexer = false, .recompute = true});
    EXPECT_TRUE(same_bits(kept.out, again.out));
    EXPECT_TRUE(same_bits(kept.grad_u, again.grad_u));
    const auto kept_rows = named_weights(kept.weights), again_rows = named_weights(again.weights);
    for (size_t i = 0; i < kept_rows.size(); ++i) EXPECT_TRUE(same_bits(kept_rows[i].second->grad, again_rows[i].second->grad)) << kept_rows[i].first;
  }
}

TEST(Attention, MetaTensorsHaveTheShapesOfTheCpu) {
  for (const int64_t ratio : {0, 4, 128}) {
    const AttentionCase c = small_case(ratio, {30, 150});
    const AttentionOptions options{.probe_prefix = "", .train_indexer = ratio == 4};
    AttentionWeights weights = random_weights(c.config, at::kBFloat16);
    for (auto& [name, weight] : named_weights(weights)) *weight = {weight->value.to(at::kMeta), weight->grad.to(at::kMeta)};
    const AttentionContext context = c.context(at::kBFloat16, c10::DeviceType::Meta);
    const Tensor u = at::empty({c.n_tokens(), c.config.hidden_size}, at::TensorOptions().dtype(at::kBFloat16).device(at::kMeta));
    const AttentionForward forward = attention(u, weights, c.config, context, options);
    const Tensor grad_u = attention_backward(forward.out, weights, c.config, context, options, forward.saved, 1.0);
    for (const Tensor& result : {forward.out, grad_u}) {
      EXPECT_TRUE(result.is_meta());
      EXPECT_EQ(result.sizes(), u.sizes());
      EXPECT_EQ(result.scalar_type(), at::kBFloat16);
    }
    const AttentionForward on_cpu = attention(random_tensor(u.sizes(), "u", at::kBFloat16), random_weights(c.config, at::kBFloat16), c.config,
                                              c.context(at::kBFloat16), options);
    const auto expect_like = [](const Tensor& meta, const Tensor& cpu) {
      ASSERT_EQ(meta.defined(), cpu.defined());
      if (!cpu.defined()) return;
      EXPECT_EQ(meta.sizes(), cpu.sizes());
      EXPECT_EQ(meta.scalar_type(), cpu.scalar_type());
    };
    expect_like(forward.saved.q, on_cpu.saved.q);
    expect_like(forward.saved.lse, on_cpu.saved.lse);
    expect_like(forward.saved.keys.entries, on_cpu.saved.keys.entries);
    expect_like(forward.saved.keys.selected, on_cpu.saved.keys.selected);
  }
}

TEST(Attention, EntriesBecomeVisibleWithTheirLastToken) {
  for (const int64_t ratio : {4, 128}) {
    const EntryTable table = DocumentLayout::make({ratio + 3, 2 * ratio}).entries(ratio);
    const auto visible = [&](int64_t t) { return table.end[t].item<int64_t>() - table.begin[t].item<int64_t>(); };
    EXPECT_EQ(visible(ratio - 2), 0);
    EXPECT_EQ(visible(ratio - 1), 1);
    EXPECT_EQ(visible(ratio), 1);
    EXPECT_EQ(visible(ratio + 3 + ratio - 2), 0);   // the second document starts again
    EXPECT_EQ(visible(ratio + 3 + 2 * ratio - 1), 2);
    EXPECT_EQ(table.n_entries, 3);
    EXPECT_EQ(table.n_seeing_tokens, 4 + ratio + 1);
  }
}

// Changing the input of token s must change the output of token t only through the window and complete blocks before it.
TEST(Attention, ATokenInAnUnfinishedBlockIsSeenThroughTheWindowOnly) {
  const AttentionCase c = small_case(128, {270});
  const AttentionWeights weights = random_weights(c.config, at::kDouble);
  const AttentionContext context = c.context(at::kDouble);
  const Tensor u = random_tensor({270, c.config.hidden_size}, "u", at::kDouble);
  const Tensor before = attention(u, weights, c.config, context, {}).out;
  Tensor changed = u.clone();
  changed[100].add_(1.0);
  const Tensor difference = (attention(changed, weights, c.config, context, {}).out - before).abs().amax(-1);   // [T]
  for (int64_t t = 0; t < 270; ++t) {
    const bool sees = (t >= 100 && t < 105) || t >= 127;   // window of 5; the block of 128 is complete at 127
    EXPECT_EQ(difference[t].item<double>() > 0, sees) << t;
  }
}

TEST(Attention, ProbesHaveTheNamesOfTheOracle) {
  const AttentionCase c = small_case(4, {30});
  std::map<std::string, Tensor> seen;
  const ProbeScope scope([&](const std::string& name, const Tensor& value) { seen[name] = value; });
  attention(random_tensor({30, c.config.hidden_size}, "u"), random_weights(c.config, at::kFloat), c.config, c.context(at::kFloat), {.probe_prefix = "layers.2.attn"});
  for (const char* name : {"q", "kv", "entries", "index_scores", "selected", "o", "out"}) EXPECT_TRUE(seen.contains(std::string("layers.2.attn.") + name)) << name;
}

TEST(Attention, RejectsSizesThatCannotBe) {
  AttentionConfig config = small_case(4, {8}).config;
  check_attention_config(config);
  check_attention_weights(random_weights(config, at::kFloat), config);
  const auto with = [&](auto change) {
    AttentionConfig wrong = config;
    change(wrong);
    return wrong;
  };
  EXPECT_ERROR(check_attention_config(with([](auto& c) { c.compress_ratio = 8; })), ErrorKind::kConfig, "known are 0, 4 and 128");
  EXPECT_ERROR(check_attention_config(with([](auto& c) { c.rope_head_dim = 7; })), ErrorKind::kConfig, "must be even");
  EXPECT_ERROR(check_attention_config(with([](auto& c) { c.rope_head_dim = 18; })), ErrorKind::kConfig, "above head_dim 16");
  EXPECT_ERROR(check_attention_config(with([](auto& c) { c.o_groups = 3; })), ErrorKind::kConfig, "does not divide");
  EXPECT_ERROR(check_attention_weights(random_weights(config, at::kFloat), with([](auto& c) { c.head_dim = 32; })), ErrorKind::kInternal, "attn.wq_b");
  EXPECT_ERROR(DocumentLayout::make({4, 0}), ErrorKind::kData, "document 1");
}

}  // namespace
}  // namespace temper
