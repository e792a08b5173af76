#include "app/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/console.h"
#include "base/error.h"

namespace temper {
namespace {

constexpr int kUsageExitCode = 64;
constexpr size_t kShownBytes = 200;   // of a wrong argument

// Insertions, deletions, replacements and exchanges of neighbours that turn one word into the other.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      d[i][j] = i == 0 || j == 0 ? i + j : std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

// The known word that was probably meant, as a sentence; empty if none is near.
std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
  if (word.size() > kShownBytes) return "";
  std::string best;
  size_t least = std::max<size_t>(1, word.size() / 4) + 1;
  for (const std::string& name : known) {
    const bool begins = word.size() >= 3 && name.starts_with(word);
    const size_t distance = begins ? 0 : edit_distance(word, name);
    if (distance < least) least = distance, best = name;
  }
  return best.empty() ? "" : fmt::format("; did you mean {}?", best);
}

// The command that the first arguments name, and the first argument that should name a command below it but does not.
struct NamedCommand {
  const CLI::App* app;
  std::string path, unknown;
};

NamedCommand named_command(const CLI::App& program, int argc, char** argv) {
  NamedCommand named{&program, "temper", ""};
  for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
    const auto below = named.app->get_subcommands([](const CLI::App*) { return true; });
    if (below.empty()) break;
    const auto found = std::find_if(below.begin(), below.end(), [&](const CLI::App* app) { return app->get_name() == argv[i]; });
    if (found == below.end()) {
      named.unknown = argv[i];
      break;
    }
    named.app = *found;
    named.path += std::string(" ") + argv[i];
  }
  return named;
}

// What the library says about a wrong command line, or a better sentence where it has none.
std::string usage_message(const CLI::ParseError& error, const NamedCommand& named, int argc, char** argv) {
  if (!named.unknown.empty()) {
    std::vector<std::string> names;
    for (const CLI::App* app : named.app->get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); })) names.push_back(app->get_name());
    return fmt::format("\"{}\" is not a command of {}{}", shortened(named.unknown, kShownBytes), named.path, suggestion(named.unknown, names));
  }
  std::string message = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error)) {
    std::vector<std::string> names;
    for (const CLI::Option* option : named.app->get_options()) names.push_back(option->get_name());
    for (int i = 1; i < argc; ++i) {
      const std::string word = std::string(argv[i]).substr(0, std::string_view(argv[i]).find('='));
      if (word.starts_with("--") && std::find(names.begin(), names.end(), word) == names.end()) return shortened(message, kShownBytes) + suggestion(word, names);
    }
  }
  return shortened(message, 2 * kShownBytes);
}

std::string not_positive(const std::string& text) {
  double value = 1;
  std::from_chars(text.data(), text.data() + text.size(), value);   // what is no number is refused where it is read
  return value > 0 ? "" : text + " is not above 0";
}

}  // namespace

Option Option::required() const { return Option(option_->required()); }
Option Option::show_default() const { return Option(option_->capture_default_str()); }
Option Option::default_text(const std::string& value) const { return Option(option_->default_val(value)); }
Option Option::positive() const { return Option(option_->check(CLI::Validator([](const std::string& text) { return not_positive(text); }, "POSITIVE", ""))); }
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
Option Command::option(const std::string& name, uint64_t& into, const std::string& help) const {
  return Option(app_->add_option(name, into, help)->check(CLI::Validator([](const std::string& text) { return text.starts_with('-') ? text + " is below 0" : ""; }, "UINT", "")));
}
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
    const NamedCommand named = named_command(app, argc, argv);
    if (e.get_exit_code() == 0) {
      std::ostringstream text, no_errors;
      app.exit(e, text, no_errors);
      return [text = text.str()] {
        write_output(text);
        return 0;
      };
    }
    print_error(fmt::format("{}\nRun {} --help for what it takes.\n", printable(usage_message(e, named, argc, argv)), named.path));
    return [] { return kUsageExitCode; };
  }
  set_program_place(named_command(app, argc, argv).path);
  return action;
}

}  // namespace temper
