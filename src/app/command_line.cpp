#include "app/command_line.h"

#include <CLI/CLI.hpp>

namespace temper {
namespace {

constexpr int kUsageExitCode = 64;

}  // namespace

Option Option::required() const { return Option(option_->required()); }
Option Option::show_default() const { return Option(option_->capture_default_str()); }
Option Option::default_text(const std::string& value) const { return Option(option_->default_val(value)); }
Option Option::positive() const { return Option(option_->check(CLI::PositiveNumber)); }
Option Option::between(int min, int max) const { return Option(option_->check(CLI::Range(min, max))); }
Option Option::between(double min, double max) const { return Option(option_->check(CLI::Range(min, max))); }
Option Option::one_of(const std::vector<std::string>& choices) const { return Option(option_->check(CLI::IsMember(choices))); }

Option Option::together_with(const Option& other) const {
  option_->needs(other.option_);
  other.option_->needs(option_);
  return *this;
}

Command Command::add_command(const std::string& name, const std::string& description) const {
  return {app_->add_subcommand(name, description), chosen_};
}

Option Command::option(const std::string& name, std::string& into, const std::string& help) const { return Option(app_->add_option(name, into, help)); }
Option Command::option(const std::string& name, int64_t& into, const std::string& help) const { return Option(app_->add_option(name, into, help)); }
Option Command::option(const std::string& name, uint64_t& into, const std::string& help) const { return Option(app_->add_option(name, into, help)); }
Option Command::option(const std::string& name, double& into, const std::string& help) const { return Option(app_->add_option(name, into, help)); }
Option Command::option(const std::string& name, std::vector<std::string>& into, const std::string& help) const {
  return Option(app_->add_option(name, into, help));
}
void Command::flag(const std::string& name, bool& into, const std::string& help) const { app_->add_flag(name, into, help); }

void Command::footer(const std::string& text) const { app_->footer(text); }
void Command::require_subcommand() const { app_->require_subcommand(1); }
void Command::hide() const { app_->group(""); }
void Command::run(Action action) const {
  app_->callback([action = std::move(action), chosen = chosen_] { *chosen = action; });
}

Action parse_command_line(int argc, char** argv, const std::string& version, const std::vector<AddCommand>& commands) {
  CLI::App app("temper: post-training of DeepSeek-V4-class mixture-of-experts models", "temper");
  app.set_version_flag("--version", version);
  app.require_subcommand(1);
  Action action;
  const Command program(&app, &action);
  for (const AddCommand add : commands) add(program);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {   // help and version come this way too, with exit code 0
    const int code = app.exit(e);
    return [code] { return code == 0 ? 0 : kUsageExitCode; };
  }
  return action;
}

}  // namespace temper
