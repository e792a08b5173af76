#pragma once
// What the subcommands of `temper tokenizer` share.

#include "app/commands.h"

namespace temper {

void add_explain_command(const Command& tokenizer);

}  // namespace temper
