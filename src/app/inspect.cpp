// temper inspect: says what a path is.

#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "app/commands.h"
#include "app/inspection.h"
#include "base/console.h"

namespace temper {

void add_inspect_command(const Command& program) {
  struct Options {
    std::string path, sample;
    DataView data;
    bool json = false, values = false, memory = false;
  };
  auto options = std::make_shared<Options>();
  const Command command = program.add_command("inspect", "Says what a model, config, checkpoint, data file or run folder is: sizes, layout, health");
  command.option("path", options->path, "folder or file");
  command.flag("--json", options->json, "print JSON");
  command.flag("--values", options->values, "read every value and check every digest, however large (small ones are always read)");
  command.flag("--memory", options->memory, "of a run folder: the planned memory by what it is, and the measured peak");
  command.option("--recipe", options->data.recipe, "data: with the settings, tokenizer and model of this recipe; without it the default settings count");
  command.option("--set", options->data.overrides, "data: override one key of the recipe: path=value; may be repeated");
  command.option("--tokenizer", options->data.tokenizer, "data: folder or file of the tokenizer, where there is no recipe or it is not the recipe's");
  command.option("--sample", options->sample, "FILE[:N]: packed row N (0 is the first) of the training data FILE as it will be trained, token by token");
  command.footer(
      "Examples:\n"
      "  temper inspect DeepSeek-V4-Flash\n"
      "  temper inspect configs/model/deepseek_v4_pro.json --json\n"
      "  temper inspect runs/sft/checkpoints/step-400\n"
      "  temper inspect runs/sft --memory\n"
      "  temper inspect train.jsonl.zst --recipe sft.toml\n"
      "  temper inspect --sample train.jsonl:3 --recipe sft.toml --json\n\n"
      "Of data it says what training would say, and ends with training's exit code.");
  command.run([options] {
    if (options->path.empty() == options->sample.empty())
      throw Error({.kind = ErrorKind::kConfig, .what = options->path.empty() ? "there is nothing to look at" : "a path and --sample exclude each other", .where = "temper inspect",
                   .fix = "give a folder or file, or --sample FILE[:N]"});
    const Inspection inspection = !options->sample.empty() ? inspect_sample(options->sample, options->data, isatty(STDOUT_FILENO) != 0)
                                  : options->memory       ? inspect_memory(options->path)
                                                          : inspect_path(options->path, options->values, options->data);
    if (options->json) write_output(inspection.json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");   // paths need not be UTF-8
    else if (!options->sample.empty()) write_output(inspection.text);   // may be coloured; its texts are escaped
    else print_text(inspection.text);
    if (inspection.refused) throw *inspection.refused;
    return 0;
  });
}

}  // namespace temper
