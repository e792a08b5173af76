#include <fmt/format.h>

#include "app/commands.h"
#include "app/gate_options.h"
#include "base/console.h"
#include "base/output.h"
#include "eval/compare.h"

namespace temper {
namespace {

struct CompareOptions {
  std::string before, after, out;
  GateOptions gate;
  bool require_pass = false;
};

int compare_command(const CompareOptions& options) {
  std::unique_ptr<FileWriter> out;
  if (!options.out.empty()) out = std::make_unique<FileWriter>(options.out);   // before the work
  const Comparison comparison = compare_evaluations(options.before, options.after, options.gate.read());
  out && is_standard_output(options.out) ? print_error(comparison_table(comparison)) : print_text(comparison_table(comparison));
  if (out) {
    out->write(comparison_json(comparison).dump(2) + "\n");
    out->finish();
  }
  const bool no = comparison.verdict == Verdict::kFail || (options.require_pass && comparison.verdict == Verdict::kInconclusive);
  return no ? 1 : 0;
}

}  // namespace

void add_compare_command(const Command& program) {
  auto options = std::make_shared<CompareOptions>();
  const Command command = program.add_command("compare", "Paired tests of two evaluations, and the gate's verdict (exit 1 if it says no)");
  command.option("before", options->before, "folder of the first evaluation").required();
  command.option("after", options->after, "folder of the second one").required();
  add_gate_options(command, options->gate);
  command.flag("--require-pass", options->require_pass, "an inconclusive verdict is a no, too");
  command.option("--out", options->out, "write the comparison as JSON");
  command.footer("Examples:\n  temper compare eval/base eval/sft --margin ifeval.prompt_level_strict_acc=0.02\n"
                 "  temper compare eval/base eval/sft --margins gates.toml");
  command.run([options] { return compare_command(*options); });
}

}  // namespace temper
