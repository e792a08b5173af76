#include "app/gate_options.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"

namespace temper {

Margins GateOptions::read() const {
  Margins all = file.empty() ? Margins() : read_margins(file);
  for (const std::string& assignment : margins) {
    const size_t equals = assignment.find('=');
    double value = 0;
    const char* end = assignment.data() + assignment.size();
    if (equals == std::string::npos || std::from_chars(assignment.data() + equals + 1, end, value).ptr != end || !(value >= 0) || equals + 1 == assignment.size())
      throw Error({.kind = ErrorKind::kConfig,
                   .what = fmt::format("\"{}\" is not suite.metric=number", assignment),
                   .where = "--margin",
                   .fix = "write for example --margin ifeval.prompt_level_strict_acc=0.03"});
    expect_metric(assignment.substr(0, equals), "--margin");
    all[assignment.substr(0, equals)] = value;
  }
  return all;
}

void add_gate_options(const Command& command, GateOptions& options) {
  command.option("--margins", options.file, "TOML file with [[metric]] name = \"suite.metric\", margin = number: the losses the gate tolerates");
  command.option("--margin", options.margins, "suite.metric=number: one such loss, instead of the file's; may be repeated");
}

}  // namespace temper
