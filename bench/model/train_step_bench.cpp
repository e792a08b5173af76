// One training step of a miniature (forward, loss, backward), and its pieces.   ./dev bench train_step
//   TEMPER_BENCH_CONFIG=path of a config.json (default configs/model/v4_12m.json)

#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "base/rng.h"
#include "model/deepseek_v4/init.h"
#include "model/deepseek_v4/model.h"
#include "objective/sft.h"

namespace temper {
namespace {

constexpr int64_t kSeq = 512, kBatch = 4, kTokens = kSeq * kBatch;

ModelConfig bench_config() {
  const char* path = std::getenv("TEMPER_BENCH_CONFIG");
  return read_model_config(path ? path : "configs/model/v4_12m.json");
}

struct Setup {
  ModelWeights weights;
  Model model;
  Batch batch;

  explicit Setup(at::ScalarType dtype) : weights(bench_config(), {.compute_dtype = dtype, .mtp = false}), model(weights) {
    initialise(weights, {.seed = 1, .std = 0.02, .hc_scale = 1.0});
    weights.enable_gradients();
    batch.token_ids = at::empty({kTokens}, at::kLong);
    const RandomStream stream(1, "ids");
    for (int64_t t = 0; t < kTokens; ++t)
      batch.token_ids.mutable_data_ptr<int64_t>()[t] = static_cast<int64_t>(stream.below(static_cast<uint64_t>(t), static_cast<uint64_t>(weights.config().vocab_size)));
    batch.document_lengths.assign(kBatch, kSeq);
  }
};

Setup& setup(at::ScalarType dtype) {
  static Setup bf16(at::kBFloat16), fp32(at::kFloat);
  return dtype == at::kBFloat16 ? bf16 : fp32;
}

void tokens_per_second(benchmark::State& state) {
  state.counters["tok/s"] = benchmark::Counter(static_cast<double>(kTokens), benchmark::Counter::kIsIterationInvariantRate);
}

void forward(benchmark::State& state, at::ScalarType dtype) {
  Setup& s = setup(dtype);
  for (auto _ : state) benchmark::DoNotOptimize(s.model.forward(s.batch, {}));
  tokens_per_second(state);
}

void step(benchmark::State& state, at::ScalarType dtype) {
  Setup& s = setup(dtype);
  const Targets targets = shifted_targets(s.batch, s.weights.config().vocab_size);
  for (auto _ : state) {
    ForwardResult pass = s.model.forward(s.batch, {});
    const SftLoss loss = sft_loss(pass.hidden, s.model.head(), targets, 1.0 / kTokens);
    s.model.backward(pass, loss.grad_hidden);
  }
  tokens_per_second(state);
}

void loss(benchmark::State& state, at::ScalarType dtype) {
  Setup& s = setup(dtype);
  const Targets targets = shifted_targets(s.batch, s.weights.config().vocab_size);
  const Tensor hidden = at::randn({kTokens, s.weights.config().hidden_size}).to(dtype);
  for (auto _ : state) benchmark::DoNotOptimize(sft_loss(hidden, s.model.head(), targets, 1.0 / kTokens));
  tokens_per_second(state);
}

// Forward and backward of one piece of block `n`.
template <class F>
void piece(benchmark::State& state, at::ScalarType dtype, int64_t n, const F& run) {
  Setup& s = setup(dtype);
  const ModelConfig& c = s.weights.config();
  const BlockWeights weights = s.model.block(n);
  const AttentionContext attention = s.model.attention_context(s.batch.document_lengths, at::kCPU);
  const Tensor streams = at::randn({kTokens, c.hc_mult, c.hidden_size}).to(dtype), u = at::randn({kTokens, c.hidden_size}).to(dtype);
  for (auto _ : state) run(s, weights, attention, streams, u);
  tokens_per_second(state);
}

void site(benchmark::State& state, at::ScalarType dtype) {
  piece(state, dtype, 1, [](Setup& s, const BlockWeights& w, const AttentionContext&, const Tensor& streams, const Tensor& u) {
    SiteSaved saved = enter_site(streams, w.attn_site, s.weights.config());
    const Tensor next = leave_site(saved, u);
    const HcPostGrad post = leave_site_backward(next, saved);
    benchmark::DoNotOptimize(enter_site_backward({.grad_u = u, .grad_next = next, .grad_coefficients = post.coefficients, .saved = saved}, w.attn_site, s.weights.config()));
  });
}

void ffn(benchmark::State& state, at::ScalarType dtype) {
  piece(state, dtype, 1, [](Setup& s, const BlockWeights& w, const AttentionContext&, const Tensor&, const Tensor& u) {
    const MoeFfnForward pass = moe_ffn(u, s.batch.token_ids, w.ffn, w.ffn_config, s.model.dispatcher());
    benchmark::DoNotOptimize(moe_ffn_backward({.grad_out = u, .grad_router_logits = {}, .u = u, .saved = pass.saved}, w.ffn, w.ffn_config, s.model.dispatcher()));
  });
}

void attend(benchmark::State& state, at::ScalarType dtype, int64_t block) {
  piece(state, dtype, block, [](Setup&, const BlockWeights& w, const AttentionContext& context, const Tensor&, const Tensor& u) {
    const AttentionForward pass = attention(u, w.attn, w.attn_config, context, {});
    benchmark::DoNotOptimize(attention_backward(u, w.attn, w.attn_config, context, {}, pass.saved));
  });
}

BENCHMARK_CAPTURE(step, bf16, at::kBFloat16)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(step, fp32, at::kFloat)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(forward, bf16, at::kBFloat16)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(loss, bf16, at::kBFloat16)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(site, bf16, at::kBFloat16)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(ffn, bf16, at::kBFloat16)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(attend, bf16_window, at::kBFloat16, 0)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(attend, bf16_csa, at::kBFloat16, 1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(attend, bf16_hca, at::kBFloat16, 2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace temper
