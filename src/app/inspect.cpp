// temper inspect: says what a path is.

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "app/commands.h"
#include "app/inspection.h"

namespace temper {

void add_inspect_command(const Command& program) {
  struct Options {
    std::string path;
    bool json = false, values = false, memory = false;
  };
  auto options = std::make_shared<Options>();
  const Command command = program.add_command("inspect", "Says what a model, config, checkpoint, data file or run folder is: sizes, layout, health");
  command.option("path", options->path, "folder or file").required();
  command.flag("--json", options->json, "print JSON");
  command.flag("--values", options->values, "read every value and check every digest, however large (small ones are always read)");
  command.flag("--memory", options->memory, "of a run folder: the planned memory by what it is, and the measured peak");
  command.footer(
      "Examples:\n"
      "  temper inspect DeepSeek-V4-Flash\n"
      "  temper inspect configs/model/deepseek_v4_pro.json --json\n"
      "  temper inspect runs/sft/checkpoints/step-400\n"
      "  temper inspect runs/sft --memory\n"
      "  temper inspect train.jsonl.zst");
  command.run([options] {
    const Inspection inspection = options->memory ? inspect_memory(options->path) : inspect_path(options->path, options->values);
    std::cout << (options->json ? inspection.json.dump(2) + "\n" : inspection.text);
    return 0;
  });
}

}  // namespace temper
