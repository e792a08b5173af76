#pragma once
// What the subcommands of `temper tokenizer` share.

#include <string>

#include "app/commands.h"

namespace temper {

void add_explain_command(const Command& tokenizer);

/// The text of a file; "-" is standard input.
std::string read_input(const std::string& file);

}  // namespace temper
