#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/report/plot.h"

namespace temper {

/// What a run folder holds.
struct RunFiles {
  std::map<std::string, Series> metrics;     // by name; x = step
  std::string settings;                      // resolved.toml, or empty
  std::optional<Json> environment;
  std::vector<Json> events;
  std::vector<std::string> gaps;             // what is damaged or missing in metrics.jsonl and events.jsonl

  const Series* find(const std::string& name) const;
  /// Names that start with `prefix`, in the order of layers and letters ("layer_2" before "layer_10").
  std::vector<std::string> names(const std::string& prefix) const;
};

/// Errors  Error{kData} without metrics.jsonl.  Damaged lines are left out and named in `gaps`; a last line that was cut off is left out.
RunFiles read_run(const fs::path& folder);

}  // namespace temper
