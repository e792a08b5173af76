#pragma once
// One function for each subcommand; each lives in app/<name>.cpp, declares its options and sets its action.

#include "app/command_line.h"

namespace temper {

/// All subcommands, in the order of the help text.
const std::vector<AddCommand>& all_commands();

}  // namespace temper
