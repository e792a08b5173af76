#pragma once
// One function for each subcommand; each lives in app/<name>.cpp, declares its options and sets its action.

#include <CLI/CLI.hpp>
#include <functional>

namespace temper {

/// A command's action; returns the exit code (0, or 1 for "a gate or comparison said no").  Errors are thrown.
using Action = std::function<int()>;

/// Adds one subcommand to `app`; when it is the one chosen on the command line, `action` is set.
using AddCommand = void (*)(CLI::App& app, Action& action);

/// All subcommands, in the order of the help text.
const std::vector<AddCommand>& all_commands();

}  // namespace temper
