#pragma once
// The options that set the gate's margins, the same for every command that gives a verdict.

#include <string>
#include <vector>

#include "app/command_line.h"
#include "eval/gates.h"

namespace temper {

struct GateOptions {
  std::string file;
  std::vector<std::string> margins;

  /// The file's margins, replaced by those of the flags.
  Margins read() const;
};

void add_gate_options(const Command& command, GateOptions& options);

}  // namespace temper
