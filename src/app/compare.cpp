#include <fmt/format.h>

#include <charconv>

#include "app/commands.h"
#include "eval/compare.h"

namespace temper {
namespace {

struct Options {
  std::string before, after, out;
  std::vector<std::string> margins;
  bool require_pass = false;
};

std::map<std::string, double> parse_margins(const std::vector<std::string>& assignments) {
  std::map<std::string, double> margins;
  for (const std::string& assignment : assignments) {
    const size_t equals = assignment.find('=');
    double value = 0;
    const char* end = assignment.data() + assignment.size();
    if (equals == std::string::npos || std::from_chars(assignment.data() + equals + 1, end, value).ptr != end || value < 0 || equals + 1 == assignment.size())
      throw Error({.kind = ErrorKind::kConfig,
                   .what = fmt::format("\"{}\" is not suite.metric=number", assignment),
                   .where = "--margin",
                   .fix = "write for example --margin ifeval.prompt_level_strict_acc=0.03"});
    margins[assignment.substr(0, equals)] = value;
  }
  return margins;
}

int compare_command(const Options& options) {
  const Comparison comparison = compare_evaluations(options.before, options.after, parse_margins(options.margins));
  fmt::print("{}", comparison_table(comparison));
  if (!options.out.empty()) write_file_atomic(options.out, comparison_json(comparison).dump(2) + "\n");
  const bool no = comparison.verdict == Verdict::kFail || (options.require_pass && comparison.verdict == Verdict::kInconclusive);
  return no ? 1 : 0;
}

}  // namespace

void add_compare_command(const Command& program) {
  auto options = std::make_shared<Options>();
  const Command command = program.add_command("compare", "Paired tests of two evaluations, and the gate's verdict (exit 1 if it says no)");
  command.option("before", options->before, "folder of the first evaluation").required();
  command.option("after", options->after, "folder of the second one").required();
  command.option("--margin", options->margins, "suite.metric=number: the loss the gate tolerates; may be repeated");
  command.flag("--require-pass", options->require_pass, "an inconclusive verdict is a no, too");
  command.option("--out", options->out, "write the comparison as JSON");
  command.footer("Example:\n  temper compare eval/base eval/sft --margin ifeval.prompt_level_strict_acc=0.02");
  command.run([options] { return compare_command(*options); });
}

}  // namespace temper
