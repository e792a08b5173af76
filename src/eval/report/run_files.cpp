#include "eval/report/run_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/json_checks.h"
#include "base/whole_file.h"
#include "eval/report/metrics_check.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

// The objects with a step of a JSONL file that a process may be writing: only whole lines count.
std::vector<Json> read_whole_lines(const std::string& content) {
  std::vector<std::string_view> lines = text::split(content, "\n");
  lines.pop_back();   // what follows the last line break
  std::vector<Json> rows;
  for (const std::string_view line : lines)
    if (Json row = try_parse_json(line).value_or(Json()); row.is_object() && row.contains("step") && row["step"].is_number_integer()) rows.push_back(std::move(row));
  return rows;
}

std::vector<std::string> gaps_of(const std::string& metrics, const std::string& events, int64_t last_step) {
  std::vector<std::string> gaps;
  if (const MetricsCheck check = check_metrics(metrics, last_step, evaluations_in_events(events, last_step)); !check.complete()) gaps.push_back("metrics.jsonl: " + describe(check));
  if (const MetricsCheck check = check_metrics(events, 0, {}); !check.damaged_lines.empty()) gaps.push_back(fmt::format("events.jsonl: damaged lines: {}", fmt::join(check.damaged_lines, ", ")));
  return gaps;
}

// "layer_10" sorts behind "layer_2".
bool natural_less(const std::string& a, const std::string& b) {
  const auto number = [](const std::string& s, size_t at) { return std::atoi(s.c_str() + at); };
  const size_t x = a.find_last_not_of("0123456789") + 1, y = b.find_last_not_of("0123456789") + 1;
  if (x < a.size() && y < b.size() && a.compare(0, x, b, 0, y) == 0) return number(a, x) < number(b, y);
  return a < b;
}

}  // namespace

const Series* RunFiles::find(const std::string& name) const {
  const auto found = metrics.find(name);
  return found == metrics.end() ? nullptr : &found->second;
}

std::vector<std::string> RunFiles::names(const std::string& prefix) const {
  std::vector<std::string> found;
  for (const auto& [name, series] : metrics)
    if (name.starts_with(prefix)) found.push_back(name);
  std::sort(found.begin(), found.end(), natural_less);
  return found;
}

RunFiles read_run(const fs::path& folder) {
  if (!fs::exists(folder / "metrics.jsonl"))
    throw Error({.kind = ErrorKind::kData,
                 .what = "the folder holds no metrics.jsonl",
                 .where = folder.string(),
                 .fix = "give the run folder of `temper train`"});
  RunFiles run;
  const std::string metrics = read_file(folder / "metrics.jsonl"), events = fs::exists(folder / "events.jsonl") ? read_file(folder / "events.jsonl") : "";
  int64_t last_step = 0;
  for (const Json& row : read_whole_lines(metrics)) {
    const double step = row["step"].get<double>();
    last_step = std::max(last_step, row["step"].get<int64_t>());
    for (const auto& [name, value] : row.items()) {
      if (name == "step" || !(value.is_number() || value.is_null())) continue;
      Series& series = run.metrics[name];
      series.name = name;
      series.x.push_back(step);
      series.y.push_back(value.is_null() ? std::nan("") : value.get<double>());
    }
  }
  if (fs::exists(folder / "resolved.toml")) run.settings = read_small_file(folder / "resolved.toml");
  if (fs::exists(folder / "environment.json")) run.environment = read_json(folder / "environment.json");
  run.events = read_whole_lines(events);
  run.gaps = gaps_of(metrics, events, last_step);
  return run;
}

}  // namespace temper
