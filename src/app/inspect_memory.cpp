// temper inspect RUN --memory: the plan a run was started with, and what it took.

#include <algorithm>

#include "app/inspection.h"
#include "base/error.h"
#include "base/json_checks.h"
#include "data/text_reader.h"
#include "train/memory_plan.h"

namespace temper {

Inspection inspect_memory(const fs::path& run) {
  const fs::path file = run / "events.jsonl";
  Json plan, latest_plan;
  int64_t measured = 0;
  if (fs::is_regular_file(file)) {
    LineReader lines(file, int64_t{16} << 20);
    for (TextPiece piece; lines.next_filled(piece);) {
      const Json event = try_parse_json(piece.text).value_or(Json());
      if (!event.is_object()) continue;   // the last line of a killed run
      if (event.value("event", Json()) == "memory" && event.contains("plan")) latest_plan = event.at("plan");   // of each process that worked on the run
      const Json peak_bytes = event.value("peak_resident_bytes", Json());
      const int64_t peak = peak_bytes.is_number_integer() ? peak_bytes.get<int64_t>() : 0;
      if (plan.is_null() || (peak > 0 && plan != latest_plan)) measured = 0;
      if (plan.is_null() || peak > 0) plan = latest_plan;   // one that found nothing left to do measured nothing
      measured = std::max(measured, peak);
    }
  }
  if (plan.is_null())
    throw Error({.kind = ErrorKind::kData, .what = "no plan of the memory is recorded here", .where = file.string(),
                 .fix = "give the folder of a run, or print the plan of a recipe with temper train RECIPE --dry-run"});
  Inspection out{.json = {{"kind", "run"}, {"path", run.string()}, {"plan", plan}}, .text = {}};
  out.text = with_json_errors(file.string(), ErrorKind::kData, [&] { return describe(memory_plan_from_json(plan), measured); });
  if (measured > 0) out.json["peak_resident_bytes"] = measured;
  else out.text += "  the peak is recorded with the first checkpoint\n";
  return out;
}

}  // namespace temper
