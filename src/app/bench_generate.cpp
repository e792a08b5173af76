// temper bench generate: batched greedy generation with a random model.

#include <fmt/format.h>

#include <memory>

#include "app/bench.h"
#include "base/console.h"
#include "rollout/generation_benchmark.h"
#include "train/benchmark.h"

namespace temper {
namespace {

struct GenerateBenchArguments {
  std::string model_config, dtype = "bf16";
  GenerationBenchmarkOptions benchmark;
  bool json = false;
};

Json to_json(const GenerationBenchmark& r) {
  const TimeShares shares = time_shares(r.profile);
  return {{"prefill_tok_s", r.prefill_tokens_per_second},
          {"decode_tok_s", r.decode_tokens_per_second},
          {"cpu_decode_tok_s", r.cpu_decode_tokens_per_second},
          {"step_s", r.step_seconds},
          {"allocations_per_token", r.allocations_per_token},
          {"new_blocks_per_token", r.new_blocks_per_token},
          {"rss_gib", static_cast<double>(r.rss_bytes) / (1024.0 * 1024.0 * 1024.0)},
          {"decode_time_by_part", shares.parts},
          {"decode_time_by_kind", shares.kinds}};
}

int bench_generate(GenerateBenchArguments& options) {
  options.benchmark.dtype = options.dtype == "float32" ? at::kFloat : at::kBFloat16;
  const GenerationBenchmark result = benchmark_generation(read_model_config(options.model_config), options.benchmark);
  if (options.json) {
    print("{}\n", to_json(result).dump());
    return 0;
  }
  print("prefill {:.0f} tokens/s, decode {:.0f} tokens/s ({:.3f} ms a step), {:.0f} a second of processor time\n", result.prefill_tokens_per_second,
             result.decode_tokens_per_second, 1e3 * result.step_seconds, result.cpu_decode_tokens_per_second);
  print("{:.2f} blocks of memory a token, {:.2f} of them new, {:.2f} GiB resident at most\n", result.allocations_per_token, result.new_blocks_per_token, static_cast<double>(result.rss_bytes) / (1 << 30));
  print_shares(result.profile);
  return 0;
}

}  // namespace

void add_bench_generate(const Command& bench_command) {
  const Command command = bench_command.add_command("generate", "greedy generation for a batch of random prompts, by a random model");
  const auto options = std::make_shared<GenerateBenchArguments>();
  GenerationBenchmarkOptions& o = options->benchmark;
  command.option("--model-config", options->model_config, "config.json of the model, or its folder").required();
  command.option("--prompt", o.prompt_length, "tokens of each prompt").between(1, 1 << 24).show_default();
  command.option("--batch", o.batch, "prompts").between(1, 1 << 20).show_default();
  command.option("--new", o.new_tokens, "tokens of each answer").between(2, 1 << 24).show_default();
  command.option("--repeats", o.repeats, "timed passes; the best counts").between(1, 1 << 20).show_default();
  command.option("--dtype", options->dtype, "in which the model computes").one_of({"bf16", "bfloat16", "float32"}).show_default();
  command.flag("--json", options->json, "print one JSON object");
  command.footer("Example:\n  temper bench generate --model-config configs/model/v4_12m.json --batch 8 --prompt 128 --new 128 --dtype bf16 --json");
  command.run([options] { return bench_generate(*options); });
}

}  // namespace temper
