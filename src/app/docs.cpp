#include <fmt/format.h>

#include "app/commands.h"
#include "base/console.h"
#include "train/recipe.h"

namespace temper {
namespace {

int print_config_page() {
  TrainRecipe recipe;
  recipe.data.sources.emplace_back();   // a list of sections shows its element
  print(
      "# Recipes\n\n"
      "Every key of a recipe (`temper train RECIPE.toml`), its default, what it may be, and what it does. `--set path=value` overrides one key.\n"
      "Unknown keys, wrong types and values out of bounds are errors that name the line. Input paths are relative to the recipe's folder,\n"
      "`run_folder` to where the command is run. This page is written by `./dev docs` from the structs that read the keys.\n\n"
      "| key | default | must be | meaning |\n|---|---|---|---|\n{}",
      MarkdownWriter::render(recipe));
  return 0;
}

}  // namespace

void add_docs_command(const Command& program) {
  const Command docs = program.add_command("docs", "print a generated page of docs/");
  docs.hide();   // for ./dev docs, not for the list of commands
  docs.require_subcommand();
  docs.add_command("config", "docs/config.md").run(print_config_page);
}

}  // namespace temper
