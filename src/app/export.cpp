// temper import, temper export: model folders from other model folders and from training checkpoints.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "app/commands.h"
#include "base/console.h"
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/export.h"

namespace temper {
namespace {

constexpr double kGigabyte = 1e9;

struct ExportArguments {
  std::string from, to, dtype, format = "official", drafter = kKeepDrafter;
  double shard_gigabytes = 5.0;
};

void print_report(const ExportReport& report, const ExportArguments& options) {
  print("{}: {} tensors in {} files, {:.3f} GB\n", options.to, report.n_tensors, report.n_files, static_cast<double>(report.data_bytes) / kGigabyte);
  if (report.n_rounded == 0) print("values: all as in {}\n", options.from);
  else print("values: {} tensors were rounded to the dtype {}\n", report.n_rounded, options.dtype);
  if (report.n_nvfp4 > 0 && report.n_nvfp4_as_fp4 == report.n_nvfp4) print("NVFP4: FP4 holds all {} matrices exactly\n", report.n_nvfp4);
  else if (report.n_nvfp4 > 0)
    print("NVFP4: FP4 holds {} of {} matrices exactly, so the experts are FP8; --dtype exact rounds nothing\n", report.n_nvfp4_as_fp4, report.n_nvfp4);
  if (report.n_lossy_repacks > 0)
    print("FP4: {} blocks of 128x128 have scales more than 2^14 apart: servers that repack FP4 into FP8 lose their smallest values\n", report.n_lossy_repacks);
  if (report.mtp_missing) print("MTP: {} has no MTP tensors, so neither has {}\n", options.from, options.to);
  if (report.mtp_dropped) print("MTP: the MTP layers of {} were left out (--drafter {})\n", options.from, options.drafter);
  if (report.drafter_dropped) print("drafter: that of {} was left out (--drafter {})\n", options.from, options.drafter);
  if (report.n_carried_tensors > 0)
    print("drafter: {} tensors, {:.3f} GB of it, carried byte for byte from {}\n", report.n_carried_tensors, static_cast<double>(report.carried_bytes) / kGigabyte, report.drafter_folder);
  print("written: weights, {}\n", fmt::format("{}", fmt::join(report.written_files, ", ")));
  print("not carried: {}\n", report.not_carried.empty() ? "nothing was left out" : fmt::format("{}", fmt::join(report.not_carried, ", ")));
  if (report.transformers_obstacles.empty()) return;
  print("transformers would not read it right (temper does):\n");
  for (const std::string& obstacle : report.transformers_obstacles) print("  {}\n", obstacle);
}

int run_export(const ExportArguments& options) {
  const std::unique_ptr<WeightSource> source = open_weights(options.from);
  const ExportOptions how{.dtype = parse_export_dtype(options.dtype), .max_shard_bytes = static_cast<uint64_t>(std::min(options.shard_gigabytes * kGigabyte, 0x1p62)), .drafter = options.drafter};
  print_report(export_model(*source, options.to, how), options);
  return 0;
}

void add_common(const Command& command, const std::shared_ptr<ExportArguments>& options) {
  command.option("--to", options->to, "folder to write; must not exist, or be empty").required();
  command.option("--drafter", options->drafter, "keep: carry a DSpark drafter byte for byte, write MTP layers; drop: neither; or a folder whose DSpark drafter is attached").show_default();
  command.option("--shard-gb", options->shard_gigabytes, "largest size of one file, in 10^9 bytes").positive().show_default();
  command.run([options] { return run_export(*options); });
}

}  // namespace

void add_import_command(const Command& program) {
  auto options = std::make_shared<ExportArguments>();
  const Command command = program.add_command("import", "A model folder in any spelling and storage -> released names, without FP8 and FP4");
  command.option("--from", options->from, "model folder: config.json and safetensors").required();
  command.option("--dtype", options->dtype, "exact: the smallest dtype that holds every value; bf16; float32")
      .one_of({"exact", "bf16", "float32"})
      .default_text("exact");
  add_common(command, options);
  command.footer(
      "Reads part by part: memory stays below 1 GB whatever the size of the model.\n"
      "Examples:\n"
      "  temper import --from DeepSeek-V4-Flash --to flash-bf16\n"
      "  temper import --from saved_by_transformers --to model --dtype float32");
}

void add_export_command(const Command& program) {
  auto options = std::make_shared<ExportArguments>();
  const Command command = program.add_command("export", "A training checkpoint or model folder -> a model folder in the official layout");
  command.option("--from", options->from, "checkpoint (runs/x/checkpoints/step-100), run folder (its latest checkpoint) or model folder").required();
  command.option("--format", options->format, "layout of names and files").one_of({"official"}).show_default();
  command.option("--dtype", options->dtype, "bf16; fp8-fp4: as released; float32; exact")
      .one_of({"bf16", "fp8-fp4", "float32", "exact"})
      .default_text("bf16");
  add_common(command, options);
  command.footer(
      "Examples:\n"
      "  temper export --from runs/sft --to my-model --format official --dtype bf16\n"
      "  temper export --from runs/sft/checkpoints/step-400 --to my-model-400\n"
      "  temper export --from my-model --to my-model-fp4 --dtype fp8-fp4");
}

}  // namespace temper
