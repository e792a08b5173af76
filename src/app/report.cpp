#include <fmt/format.h>

#include "app/commands.h"
#include "app/gate_options.h"
#include "base/log.h"
#include "eval/report/report.h"

namespace temper {
namespace {

struct ReportOptions {
  std::string run, before, after, out = "report.html", title;
  GateOptions gate;
};

int report_command(const ReportOptions& options) {
  ReportInput input{options.run, {}, {}, options.title, options.gate.read()};
  if (!options.before.empty()) {
    input.before = options.before;
    input.after = options.after;
  }
  FileWriter out(options.out);   // before the work
  const std::string html = make_report(input);
  out.write(html);
  out.finish();
  log_info("report", "wrote {} size_bytes={}", options.out, html.size());
  return 0;
}

}  // namespace

void add_report_command(const Command& program) {
  auto options = std::make_shared<ReportOptions>();
  const Command command = program.add_command("report", "One HTML file about a run: curves, before and after, samples, settings");
  command.option("--run,run", options->run, "run folder of temper train").required();
  const Option before = command.option("--before", options->before, "evaluation folder of the model before the run");
  command.option("--after", options->after, "evaluation folder of the model after it").together_with(before);
  add_gate_options(command, options->gate);
  command.option("--out", options->out, "the file to write").show_default();
  command.option("--title", options->title, "heading; by default the run folder's name");
  command.footer("Example:\n  temper report --run runs/sft --before eval/base --after eval/sft --out report.html");
  command.run([options] { return report_command(*options); });
}

}  // namespace temper
