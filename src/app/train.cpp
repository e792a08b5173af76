#include <fmt/format.h>

#include <memory>

#include "app/commands.h"
#include "base/console.h"
#include "train/dry_run.h"
#include "train/trainer.h"

namespace temper {
namespace {

struct TrainArguments {
  std::string recipe;
  std::vector<std::string> overrides;
  bool dry_run = false;
};

int train_command(const TrainArguments& arguments) {
  const LoadedRecipe recipe = load_recipe(arguments.recipe, arguments.overrides);
  if (arguments.dry_run) {
    print_text(describe_run(recipe));
    return 0;
  }
  Trainer trainer(recipe);
  trainer.run();
  return 0;
}

}  // namespace

void add_train_command(const Command& program) {
  const Command command = program.add_command("train", "train one stage into a run folder; running it again resumes");
  const auto arguments = std::make_shared<TrainArguments>();
  command.option("recipe", arguments->recipe, "TOML file; its keys are listed in docs/config.md").required();
  command.option("--set", arguments->overrides, "override one key: path=value; may be repeated");
  command.flag("--dry-run", arguments->dry_run, "print what would be trained, with memory and steps, and stop");
  command.footer(
      "Examples:\n"
      "  temper train examples/mini-v4/base.toml\n"
      "  temper train sft.toml --set schedule.lr=1e-5 --set run_folder=runs/low_lr\n"
      "  temper train sft.toml --dry-run\n"
      "Ctrl-C stops after the step under way, with a checkpoint (exit code 130); a second Ctrl-C ends at once.");
  command.run([arguments] { return train_command(*arguments); });
}

}  // namespace temper
