#include <fmt/format.h>

#include <cstdio>

#include "app/commands.h"
#include "base/log.h"
#include "eval/answers.h"
#include "eval/summary.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

struct Options {
  std::string suites, responses, out;
};

void say_what_is_left_out(const SuiteResult& result) {
  if (result.n_missing) log_warn("eval", "{}: {} questions have no stored answer and are not in the figures", result.suite, result.n_missing);
  if (result.n_unknown) log_warn("eval", "{}: {} stored answers belong to no question of the suite and are left out", result.suite, result.n_unknown);
  if (result.n_repeated) log_warn("eval", "{}: {} stored answers stand twice and count once", result.suite, result.n_repeated);
}

int eval_command(const Options& options) {
  const StoredAnswers stored = read_stored_answers(options.responses);
  std::vector<std::pair<std::string, std::vector<MetricValue>>> table;
  for (const std::string_view name : text::split(options.suites, ",")) {
    const auto suite = make_suite(std::string(text::strip(name)));
    const SuiteResult result = grade_stored(*suite, stored, options.responses);
    say_what_is_left_out(result);
    if (!options.out.empty()) write_evaluation(options.out, *suite, result, {{"answers", options.responses}});
    table.emplace_back(suite->name(), summarise(*suite, result.rows));
  }
  fmt::print("{}", metric_table(table));
  return 0;
}

}  // namespace

void add_eval_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("eval", "Grade answers and report rates with 95 % intervals");
  std::string names;
  for (const std::string& name : suite_names()) names += (names.empty() ? "" : ", ") + name;
  command->add_option("--suite", options->suites, "suites, separated by commas: " + names)->required();
  command->add_option("--responses", options->responses, "JSONL with prompt and response: grade these instead of asking a model")->required();
  command->add_option("--out", options->out, "folder for summary.json and <suite>/rows.jsonl");
  command->footer("Example:\n  temper eval --suite ifeval --responses answers.jsonl --out eval/base");
  command->callback([options, &action] { action = [options] { return eval_command(*options); }; });
}

}  // namespace temper
