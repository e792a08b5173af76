#include "eval/report/run_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/text/unicode.h"

namespace temper {
namespace {

// The rows of a JSONL file that a process may be writing: only whole lines count.
std::vector<Json> read_whole_lines(const fs::path& path) {
  const std::string content = read_file(path);
  std::vector<std::string_view> lines = text::split(content, "\n");
  lines.pop_back();   // what follows the last line break
  std::vector<Json> rows;
  for (size_t i = 0; i < lines.size(); ++i)
    if (!lines[i].empty()) rows.push_back(parse_json(lines[i], fmt::format("{}:{}", path.string(), i + 1)));
  return rows;
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
  const std::string where = (folder / "metrics.jsonl").string();
  for (const Json& row : read_whole_lines(folder / "metrics.jsonl")) {
    const Json& number = json_member(row, "step", where);
    if (!number.is_number())
      throw Error({.kind = ErrorKind::kData, .what = fmt::format("\"step\" is {}, a number is needed", number.dump()), .where = where, .fix = "remove or correct this row"});
    const double step = number.get<double>();
    for (const auto& [name, value] : row.items()) {
      if (name == "step" || !(value.is_number() || value.is_null())) continue;
      Series& series = run.metrics[name];
      series.name = name;
      series.x.push_back(step);
      series.y.push_back(value.is_null() ? std::nan("") : value.get<double>());
    }
  }
  if (fs::exists(folder / "resolved.toml")) run.settings = read_file(folder / "resolved.toml");
  if (fs::exists(folder / "environment.json")) run.environment = read_json(folder / "environment.json");
  if (fs::exists(folder / "events.jsonl")) run.events = read_whole_lines(folder / "events.jsonl");
  return run;
}

}  // namespace temper
