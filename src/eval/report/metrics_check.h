#pragma once
// metrics.jsonl of a run that goes on: what is kept, and what is missing.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace temper {

struct MetricsCheck {
  std::string kept;                                           // the whole lines up to the step
  std::vector<int64_t> damaged_lines;                         // numbers of lines that are not an object with a step, from 1
  std::vector<std::pair<int64_t, int64_t>> missing_steps;     // ranges, both ends included
  std::vector<int64_t> missing_evaluations;                   // steps
  bool complete() const { return damaged_lines.empty() && missing_steps.empty() && missing_evaluations.empty(); }
};

/// Looks for one line of every step from 1 to `step`, and for the held-out loss of each of `evaluations` (steps).
/// A last line without its line break is dropped: a kill leaves one.
MetricsCheck check_metrics(std::string_view text, int64_t step, const std::set<int64_t>& evaluations);

/// "lines 3, 17 are damaged; steps 4-6 are missing"
std::string describe(const MetricsCheck& check);
Json to_json(const MetricsCheck& check);

/// The steps of the held-out losses that events.jsonl names, up to `step`.
std::set<int64_t> evaluations_in_events(std::string_view events, int64_t step);

}  // namespace temper
