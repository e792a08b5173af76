#pragma once
// How fast this machine trains a model: real optimizer steps on one fixed random batch.

#include <string>
#include <vector>

#include "base/json.h"
#include "model/deepseek_v4/config.h"
#include "tensor/profile.h"
#include "tensor/tensor.h"
#include "train/memory_plan.h"

namespace temper {

struct TrainBenchmarkOptions {
  int64_t sequence_length = 512, batch = 4, steps = 4;
  at::ScalarType dtype = at::kBFloat16;
  std::string optimizer = "adamw";   // or "muon"
  bool recompute = false, mtp = false, indexer = false;
  double budget_gib = 0;             // 0 = what is free; what is computed again is chosen to fit
  int64_t seed = 0;
};

/// One warm-up step, then `steps` timed ones; medians.
///   gemm_peak_flops   best rate of large products of that dtype, measured in the same process
///   mfu               model FLOPs (model/deepseek_v4/flops.h) of a step over its seconds and that rate
///   best_gemm_flops   best rate of large products over bf16 and float32: the machine's own limit
///   mfu_best          the same as mfu over that rate
///   rss_bytes         largest resident set of the process
///   profile           seconds of all timed steps by part of the model and by kernel
struct TrainBenchmark {
  double tokens_per_second = 0, step_seconds = 0, flops_per_token = 0;
  double mfu = 0, gemm_peak_flops = 0, mfu_best = 0, best_gemm_flops = 0;
  double forward_backward_seconds = 0, update_seconds = 0;
  int64_t rss_bytes = 0, n_parameters = 0;
  std::vector<double> losses;   // of every step, the warm-up first
  MemoryPlan memory;            // made before the weights
  Profile::Rows profile;
};
TrainBenchmark benchmark_training(const ModelConfig& config, const TrainBenchmarkOptions& options);

/// FLOPs per second of [n, n] x [n, n] products, the best of several by libtorch and by our own kernel: libtorch's product of a dtype
/// is slow on some CPUs, and a share of it would flatter.
double gemm_peak_flops_per_second(at::ScalarType dtype);

/// The share of the time by part ("attention", "ffn", "head and loss", "optimizer", "other") and by kind of work ("matrix products",
/// "attention", "elementwise", "optimizer", "allocation", "other"); each adds up to 1.
struct TimeShares {
  std::map<std::string, double> parts, kinds;
};
TimeShares time_shares(const Profile::Rows& rows);

/// {"tok_s": ..., "step_s": ..., "rss_gib": ..., "mfu": ..., "gemm_peak_gflops": ..., "mfu_best": ..., "best_gemm_gflops": ..., "losses": [...], ...}
Json to_json(const TrainBenchmark& result);

}  // namespace temper
