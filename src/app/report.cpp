#include <fmt/format.h>

#include "app/commands.h"
#include "base/log.h"
#include "eval/report/report.h"

namespace temper {
namespace {

struct Options {
  std::string run, before, after, out = "report.html", title;
};

int report_command(const Options& options) {
  ReportInput input{options.run, {}, {}, options.title};
  if (!options.before.empty()) {
    input.before = options.before;
    input.after = options.after;
  }
  const std::string html = make_report(input);
  write_file_atomic(options.out, html);
  log_info("report", "wrote {} size_bytes={}", options.out, html.size());
  return 0;
}

}  // namespace

void add_report_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("report", "One HTML file about a run: curves, before and after, samples, settings");
  command->add_option("--run,run", options->run, "run folder of temper train")->required();
  CLI::Option* before = command->add_option("--before", options->before, "evaluation folder of the model before the run");
  CLI::Option* after = command->add_option("--after", options->after, "evaluation folder of the model after it");
  before->needs(after);
  after->needs(before);
  command->add_option("--out", options->out, "the file to write")->capture_default_str();
  command->add_option("--title", options->title, "heading; by default the run folder's name");
  command->footer("Example:\n  temper report --run runs/sft --before eval/base --after eval/sft --out report.html");
  command->callback([options, &action] { action = [options] { return report_command(*options); }; });
}

}  // namespace temper
