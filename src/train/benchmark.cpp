#include "train/benchmark.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>

#include <algorithm>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/process.h"
#include "base/rng.h"
#include "kernels/linear.h"
#include "model/deepseek_v4/flops.h"
#include "model/deepseek_v4/init.h"
#include "tensor/profile.h"
#include "train/train_step.h"

namespace temper {
namespace {

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

StepBatch random_batch(const ModelConfig& config, const TrainBenchmarkOptions& options) {
  const int64_t T = options.batch * options.sequence_length;
  const RandomStream stream(static_cast<uint64_t>(options.seed), "bench/train");
  Tensor ids = at::empty({T}, at::kLong);
  for (int64_t t = 0; t < T; ++t)
    ids.mutable_data_ptr<int64_t>()[t] = static_cast<int64_t>(stream.below(static_cast<uint64_t>(t), static_cast<uint64_t>(config.vocab_size)));
  StepBatch batch;
  batch.micro_batches.push_back({.token_ids = ids, .labels = {}, .label_weights = {},
                                 .document_lengths = std::vector<int64_t>(static_cast<size_t>(options.batch), options.sequence_length)});
  batch.n_tokens = T;
  return batch;
}

MemoryPlan plan_benchmark(const ModelConfig& config, const TrainBenchmarkOptions& options, const OptimizerConfig& optimizer, const StepModelConfig& step) {
  MemoryPlanner planner({.model = config,
                         .weights = {.compute_dtype = options.dtype, .mtp = options.mtp},
                         .optimizer = optimizer,
                         .parts = {.mtp = options.mtp, .indexer = options.indexer},
                         .step = step,
                         .document_lengths = std::vector<int64_t>(static_cast<size_t>(options.batch), options.sequence_length),
                         .program_bytes = program_bytes()});
  if (options.recompute) return planner.plan({{.attention = true, .ffn = true}});
  return planner.plan_within(memory_limit(options.budget_gib, "bench train --budget-gib"));
}

}  // namespace

double gemm_peak_flops_per_second(at::ScalarType dtype) {
  constexpr int64_t n_probe = 384, n_large = 1536;
  constexpr int kRepeats = 8;
  const auto rate = [&](int64_t n, int repeats, const auto& multiply) {
    const Tensor a = at::randn({n, n}).to(dtype), b = at::randn({n, n}).to(dtype);
    double best = 0;
    for (int i = 0; i < repeats; ++i) {
      const auto start = Clock::now();
      multiply(a, b);
      best = std::max(best, 2.0 * static_cast<double>(n * n * n) / seconds_since(start));
    }
    return best;
  };
  const auto ours = [&](const Tensor& a, const Tensor& b) { kernel<LinearForward>(a)(a, b, dtype); };
  const auto libtorchs = [](const Tensor& a, const Tensor& b) { at::matmul(a, b); };
  const double best = rate(n_large, kRepeats, ours);
  // Where libtorch has no fast product of this dtype, a large one would take minutes.
  if (rate(n_probe, 2, libtorchs) < best / 8) return best;
  return std::max(best, rate(n_large, kRepeats, libtorchs));
}

TrainBenchmark benchmark_training(const ModelConfig& config, const TrainBenchmarkOptions& options) {
  if (options.mtp && config.n_mtp_layers == 0)
    throw Error({.kind = ErrorKind::kConfig,
                 .what = "the model has no MTP block to train (a DSpark drafter is carried, not trained)",
                 .where = "bench train --mtp",
                 .fix = "leave out --mtp"});
  OptimizerConfig optimizer_config;
  optimizer_config.kind = options.optimizer;
  StepModelConfig step_config{.mtp_weight = options.mtp ? 0.3 : 0.0, .indexer_weight = options.indexer ? 1.0 : 0.0, .qat = {}};
  TrainBenchmark result;
  result.memory = plan_benchmark(config, options, optimizer_config, step_config);
  step_config.recompute = result.memory.recompute;

  ModelWeights weights(config, {.compute_dtype = options.dtype, .mtp = options.mtp});
  initialise(weights, {.seed = static_cast<uint64_t>(options.seed)});
  weights.enable_gradients(frozen_rows(optimizer_config, {.mtp = options.mtp, .indexer = options.indexer}));
  Optimizer optimizer(weights, optimizer_config, options.dtype);
  StepModel model(weights, step_config);
  Recovery recovery(1);
  const StepBatch batch = random_batch(config, options);

  for (const Parameter& p : weights.parameters()) result.n_parameters += p.row.optimizer == OptimizerClass::kConstant ? 0 : p.row.numel();
  std::vector<double> step_seconds, forward_backward, update;
  Profile profile;
  for (int64_t step = 0; step <= options.steps; ++step) {
    check_interrupt();
    const auto start = Clock::now();
    const StepResult done = train_step(model, optimizer, recovery, batch, {.step = step + 1, .lr = 1e-4});
    result.losses.push_back(done.lm_loss);
    if (step == 0) {   // warm-up
      profile.clear();
      continue;
    }
    step_seconds.push_back(seconds_since(start));
    forward_backward.push_back(done.forward_backward_seconds);
    update.push_back(done.update_seconds);
  }
  result.profile = profile.rows();
  result.rss_bytes = peak_resident_bytes();
  result.gemm_peak_flops = gemm_peak_flops_per_second(options.dtype);
  result.best_gemm_flops = std::max(result.gemm_peak_flops, gemm_peak_flops_per_second(options.dtype == at::kFloat ? at::kBFloat16 : at::kFloat));
  result.step_seconds = median(step_seconds);
  result.forward_backward_seconds = median(forward_backward);
  result.update_seconds = median(update);
  result.tokens_per_second = static_cast<double>(batch.n_tokens) / result.step_seconds;
  result.flops_per_token = flops_per_token(config, batch.micro_batches[0].document_lengths, {.mtp = options.mtp, .indexer_trained = options.indexer}).training;
  result.mfu = result.flops_per_token * result.tokens_per_second / result.gemm_peak_flops;
  result.mfu_best = result.flops_per_token * result.tokens_per_second / result.best_gemm_flops;
  return result;
}

namespace {

const char* kind_of(const std::string& part, const std::string& work) {
  if (work == "allocation") return "allocation";
  if (part == "optimizer") return "optimizer";
  if (work == "other") return "other";
  const auto contains = [&](const char* text) { return work.find(text) != std::string::npos; };
  if (contains("linear") || contains("matmul")) return "matrix products";
  if (contains("attention") || contains("indexer") || contains("compressor") || contains("head_dots")) return "attention";
  return "elementwise";
}

}  // namespace

TimeShares time_shares(const Profile::Rows& rows) {
  double total = 0;
  for (const auto& [place, seconds] : rows) total += seconds;
  TimeShares shares;
  for (const auto& [place, seconds] : rows) {
    shares.parts[place.first] += seconds / total;
    shares.kinds[kind_of(place.first, place.second)] += seconds / total;
  }
  return shares;
}

Json to_json(const TrainBenchmark& r) {
  const TimeShares shares = time_shares(r.profile);
  Json work = Json::array();
  for (const auto& [place, seconds] : r.profile) work.push_back({{"part", place.first}, {"work", place.second}, {"seconds", seconds}});
  return {{"tok_s", r.tokens_per_second},
          {"step_s", r.step_seconds},
          {"rss_gib", static_cast<double>(r.rss_bytes) / (1024.0 * 1024.0 * 1024.0)},
          {"planned_rss_gib", static_cast<double>(r.memory.total) / (1024.0 * 1024.0 * 1024.0)},
          {"memory", to_json(r.memory)},
          {"mfu", r.mfu},
          {"gemm_peak_gflops", r.gemm_peak_flops / 1e9},
          {"mfu_best", r.mfu_best},
          {"best_gemm_gflops", r.best_gemm_flops / 1e9},
          {"losses", r.losses},
          {"params", r.n_parameters},
          {"model_flops_per_token", r.flops_per_token},
          {"forward_backward_s", r.forward_backward_seconds},
          {"update_s", r.update_seconds},
          {"time_by_part", shares.parts},
          {"time_by_kind", shares.kinds},
          {"time_by_work", work}};
}

}  // namespace temper
