#pragma once
// The report of a run: one HTML file that needs nothing else (style and drawings are inside, no script, no font, no picture).

#include <optional>
#include <string>

#include "eval/gates.h"

namespace temper {

struct ReportInput {
  fs::path run;                                        // run folder: metrics.jsonl, resolved.toml, environment.json, events.jsonl
  std::optional<fs::path> before, after;               // evaluation folders, both or none
  std::string title;                                   // empty: the run folder's name
  Margins margins = {};                                // of the gate; a metric that is not in it has its suite's own
};

/// The HTML text.  What a run has not (yet) written is left out of it.
/// Errors  Error{kData} if the run folder has no metrics.jsonl, or a file is broken.
std::string make_report(const ReportInput& input);

}  // namespace temper
