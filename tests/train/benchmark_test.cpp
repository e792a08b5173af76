#include "train/benchmark.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/one_thread.h"
#include "support/tiny_run.h"

namespace temper {
namespace {

TEST(TrainBenchmark, TrainsForRealAndReportsEveryField) {
  const test::OneThread one_thread;
  TrainBenchmarkOptions options;
  options.sequence_length = 40;
  options.batch = 2;
  options.steps = 3;
  options.dtype = at::kFloat;
  const TrainBenchmark result = benchmark_training(test::tiny_run_config(), options);
  ASSERT_EQ(result.losses.size(), 4u);                       // the warm-up step as well
  EXPECT_NEAR(result.losses[0], std::log(288.0), 0.05);      // random weights know nothing
  for (size_t i = 1; i < result.losses.size(); ++i) EXPECT_LT(result.losses[i], result.losses[i - 1]);
  EXPECT_NEAR(result.tokens_per_second * result.step_seconds, 80, 1e-6);
  const Json json = to_json(result);
  for (const char* key : {"tok_s", "step_s", "rss_gib", "mfu", "gemm_peak_gflops", "mfu_best", "best_gemm_gflops", "losses"}) EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_GT(result.mfu, 0);
  EXPECT_LT(result.mfu, 1);
  EXPECT_GE(result.best_gemm_flops, result.gemm_peak_flops);
  EXPECT_LE(result.mfu_best, result.mfu);

  const TimeShares shares = time_shares(result.profile);
  const auto sum = [](const std::map<std::string, double>& named) {
    double total = 0;
    for (const auto& [name, share] : named) total += share;
    return total;
  };
  EXPECT_NEAR(sum(shares.parts), 1, 1e-9);
  EXPECT_NEAR(sum(shares.kinds), 1, 1e-9);
  for (const char* part : {"attention", "ffn", "head and loss", "optimizer"}) EXPECT_GT(shares.parts.at(part), 0) << part;
  for (const char* kind : {"matrix products", "attention", "elementwise", "optimizer"}) EXPECT_GT(shares.kinds.at(kind), 0) << kind;
}

TEST(TrainBenchmark, EveryOptionTrains) {
  const test::OneThread one_thread;
  TrainBenchmarkOptions options;
  options.sequence_length = 20;
  options.batch = 1;
  options.steps = 1;
  options.optimizer = "muon";
  options.recompute = options.mtp = options.indexer = true;
  const TrainBenchmark result = benchmark_training(test::tiny_run_config(), options);
  EXPECT_LT(result.losses[1], result.losses[0]);
}

}  // namespace
}  // namespace temper
