#pragma once
// The options of the subcommands.  Only command_line.cpp includes the library that parses them: its header costs each file
// that sees it six seconds of compiling.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace temper {

/// What a subcommand does; returns the exit code (0, or 1 for "a gate or comparison said no").  Errors are thrown.
using Action = std::function<int()>;

/// One option or positional argument, to be described further.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option required() const;
  /// Without it the help text does not say the default.
  Option show_default() const;
  Option default_text(const std::string& value) const;
  Option positive() const;
  /// Whole numbers, or with double borders any.
  Option between(int min, int max) const;
  Option between(double min, double max) const;
  Option one_of(const std::vector<std::string>& choices) const;
  /// Neither goes without the other.
  Option together_with(const Option& other) const;

 private:
  CLI::Option* option_;
};

/// The program or one of its subcommands.  What options are read into must live as long as the action.
class Command {
 public:
  Command(CLI::App* app, Action* chosen) : app_(app), chosen_(chosen) {}
  Command add_command(const std::string& name, const std::string& description) const;
  /// `name`: "--seed", or "file" for a positional argument, or "--run,run" for both.
  Option option(const std::string& name, std::string& into, const std::string& help) const;
  Option option(const std::string& name, int64_t& into, const std::string& help) const;
  Option option(const std::string& name, uint64_t& into, const std::string& help) const;
  Option option(const std::string& name, double& into, const std::string& help) const;
  Option option(const std::string& name, std::vector<std::string>& into, const std::string& help) const;
  void flag(const std::string& name, bool& into, const std::string& help) const;
  /// Printed below the options.
  void footer(const std::string& text) const;
  void require_subcommand() const;
  /// Keeps it out of the list of commands.
  void hide() const;
  /// What it does when it is the one chosen on the command line.
  void run(Action action) const;

 private:
  CLI::App* app_;
  Action* chosen_;
};

/// Adds one subcommand.
using AddCommand = void (*)(const Command& program);

/// The chosen action.  After --help, --version (which prints `version`) or a usage error all has been printed, and the action
/// only returns the exit code: 0, or 64 for a usage error.
Action parse_command_line(int argc, char** argv, const std::string& version, const std::vector<AddCommand>& commands);

}  // namespace temper
