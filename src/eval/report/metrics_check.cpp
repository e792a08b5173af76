#include "eval/report/metrics_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <optional>

#include "base/json_checks.h"

namespace temper {
namespace {

// Calls body(number, line) for each line that has its line break.
void for_each_line(std::string_view text, const std::function<void(int64_t number, std::string_view line)>& body) {
  int64_t number = 0;
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) body(++number, text.substr(begin, end + 1 - begin));
}

Json parsed(std::string_view line) { return try_parse_json(line).value_or(Json()); }

std::optional<int64_t> step_of(const Json& line) {
  if (!line.is_object()) return std::nullopt;
  const auto step = line.find("step");
  if (step == line.end() || !step->is_number_integer() || step->get<int64_t>() < 0) return std::nullopt;
  return step->get<int64_t>();
}

}  // namespace

MetricsCheck check_metrics(std::string_view text, int64_t step, const std::set<int64_t>& evaluations) {
  MetricsCheck check;
  std::set<int64_t> steps, evaluated;
  for_each_line(text, [&](int64_t number, std::string_view line) {
    const Json json = parsed(line);
    const auto at = step_of(json);
    if (!at) {
      check.damaged_lines.push_back(number);
    } else if (*at <= step) {
      check.kept += line;
      (json.contains("train/loss") ? steps : evaluated).insert(*at);
    }
  });
  int64_t next = 1;
  for (const int64_t found : steps) {
    if (found > next) check.missing_steps.emplace_back(next, found - 1);
    if (found >= next) next = found + 1;
  }
  if (next <= step) check.missing_steps.emplace_back(next, step);
  for (const int64_t due : evaluations)
    if (!evaluated.contains(due)) check.missing_evaluations.push_back(due);
  return check;
}

std::string describe(const MetricsCheck& check) {
  std::vector<std::string> parts;
  if (!check.damaged_lines.empty()) parts.push_back(fmt::format("damaged lines: {}", fmt::join(check.damaged_lines, ", ")));
  if (!check.missing_steps.empty()) {
    std::vector<std::string> ranges;
    for (const auto& [first, last] : check.missing_steps) ranges.push_back(first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last));
    parts.push_back(fmt::format("missing steps: {}", fmt::join(ranges, ", ")));
  }
  if (!check.missing_evaluations.empty()) parts.push_back(fmt::format("missing held-out losses of steps: {}", fmt::join(check.missing_evaluations, ", ")));
  return fmt::format("{}", fmt::join(parts, "; "));
}

Json to_json(const MetricsCheck& check) {
  return {{"damaged_lines", check.damaged_lines}, {"missing_steps", check.missing_steps}, {"missing_evaluations", check.missing_evaluations}};
}

std::set<int64_t> evaluations_in_events(std::string_view events, int64_t step) {
  std::set<int64_t> found;
  for_each_line(events, [&](int64_t, std::string_view line) {
    const Json json = parsed(line);
    const auto at = step_of(json);
    if (at && *at <= step && json.value("event", Json()) == Json("evaluation")) found.insert(*at);
  });
  return found;
}

}  // namespace temper
