#pragma once
// The file that says how much a gated metric may lose; `temper compare` and `temper report` read the same one, so they give one verdict.
//
//   [[metric]]
//   name = "ifeval.prompt_level_strict_acc"   # suite.metric
//   margin = 0.02                             # the gate tolerates a loss below this

#include <map>
#include <string>

#include "base/files.h"

namespace temper {

/// "suite.metric" -> the loss that the gate tolerates.
using Margins = std::map<std::string, double>;

/// Errors  Error{kConfig} for a metric that no suite has, that is named twice or has no margin, and for unknown keys.
Margins read_margins(const fs::path& path);

/// Errors  Error{kConfig} if no suite has the metric `name` ("suite.metric"); `where` is what the message points to.
void expect_metric(const std::string& name, const std::string& where);

}  // namespace temper
