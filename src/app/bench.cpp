#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "app/bench.h"
#include "app/commands.h"
#include "base/console.h"
#include "train/benchmark.h"

namespace temper {
namespace {

struct BenchTrainArguments {
  std::string model_config, dtype = "bf16";
  TrainBenchmarkOptions options;
  bool json = false;
};

}  // namespace

void print_shares(const Profile::Rows& profile) {
  const TimeShares shares = time_shares(profile);
  const auto line = [](const char* title, const std::map<std::string, double>& named) {
    std::string text;
    for (const auto& [name, share] : named) text += fmt::format("{}{} {:.1f} %", text.empty() ? "" : ", ", name, 100 * share);
    print("{}: {}\n", title, text);
  };
  line("by part", shares.parts);
  line("by kind", shares.kinds);
  std::vector<std::pair<double, std::string>> rows;
  double total = 0;
  for (const auto& [place, seconds] : profile) {
    rows.emplace_back(seconds, place.first + " / " + place.second);
    total += seconds;
  }
  std::sort(rows.rbegin(), rows.rend());
  for (const auto& [seconds, name] : rows)
    if (seconds > 0.005 * total) print("  {:5.1f} %  {}\n", 100 * seconds / total, name);
}

namespace {

int bench_train(BenchTrainArguments& arguments) {
  arguments.options.dtype = arguments.dtype == "float32" ? at::kFloat : at::kBFloat16;
  const TrainBenchmark result = benchmark_training(read_model_config(arguments.model_config), arguments.options);
  if (arguments.json) {
    print("{}\n", to_json(result).dump());
    return 0;
  }
  print("{:.0f} tokens/s, {:.3f} s a step ({:.3f} s forward and backward, {:.3f} s update)\n", result.tokens_per_second, result.step_seconds,
             result.forward_backward_seconds, result.update_seconds);
  print("{:.1f} % of {:.0f} GFLOP/s, the rate of a large product of this dtype here; {:.3f} GFLOP a token\n", 100 * result.mfu, result.gemm_peak_flops / 1e9,
             result.flops_per_token / 1e9);
  print("{:.1f} % of {:.0f} GFLOP/s, the best rate of a large product in any dtype here\n", 100 * result.mfu_best, result.best_gemm_flops / 1e9);
  print("{:.2f} GiB resident at most, {} parameters; loss {:.4f} -> {:.4f}\n", static_cast<double>(result.rss_bytes) / (1 << 30), result.n_parameters,
             result.losses.front(), result.losses.back());
  print_shares(result.profile);
  print_text(describe(result.memory, result.rss_bytes));
  return 0;
}

void add_bench_train(const Command& bench) {
  const Command command = bench.add_command("train", "optimizer steps on one fixed random batch");
  const auto arguments = std::make_shared<BenchTrainArguments>();
  TrainBenchmarkOptions& o = arguments->options;
  command.option("--model-config", arguments->model_config, "config.json of the model, or its folder").required();
  command.option("--seq", o.sequence_length, "tokens of one document").between(2, 1 << 24).show_default();
  command.option("--batch", o.batch, "documents in a step").between(1, 1 << 20).show_default();
  command.option("--steps", o.steps, "timed steps, after one to warm up").between(1, 1 << 20).show_default();
  command.option("--dtype", arguments->dtype, "in which the model computes").one_of({"bf16", "bfloat16", "float32"}).show_default();
  command.option("--optimizer", o.optimizer, "adamw or muon").one_of({"adamw", "muon"}).show_default();
  command.flag("--recompute", o.recompute, "keep only what enters each block");
  command.option("--budget-gib", o.budget_gib, "memory it may take; sub-layers are computed again as far as it takes to fit; 0 = what is free at the start").between(0.0, 1e6);
  command.flag("--mtp", o.mtp, "train the MTP blocks as well");
  command.flag("--indexer", o.indexer, "train the indexers as well");
  command.flag("--json", arguments->json, "print one JSON object");
  command.footer("Example:\n  temper bench train --model-config configs/model/v4_12m.json --seq 512 --batch 4 --steps 4 --dtype bf16 --json");
  command.run([arguments] { return bench_train(*arguments); });
}

}  // namespace

void add_bench_command(const Command& program) {
  const Command bench = program.add_command("bench", "measure this machine");
  bench.require_subcommand();
  add_bench_train(bench);
  add_bench_generate(bench);
  add_bench_tokenizer(bench);
}

}  // namespace temper
