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

  const Series* find(const std::string& name) const;
  /// Names that start with `prefix`, in the order of layers and letters ("layer_2" before "layer_10").
  std::vector<std::string> names(const std::string& prefix) const;
};

/// Errors  Error{kData} without metrics.jsonl, or with file:line of a row that is not JSON.  A last line that was cut off is left out.
RunFiles read_run(const fs::path& folder);

}  // namespace temper
