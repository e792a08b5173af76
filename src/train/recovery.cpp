#include "train/recovery.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"

namespace temper {

std::optional<std::string> Recovery::judge(int64_t step, double loss, double trunk_norm, double indexer_norm) {
  std::string cause;
  if (!std::isfinite(loss)) cause = fmt::format("the loss is {}", loss);
  else if (!std::isfinite(trunk_norm)) cause = fmt::format("the gradient's norm is {}", trunk_norm);
  else if (!std::isfinite(indexer_norm)) cause = fmt::format("the norm of the indexers' gradient is {}", indexer_norm);
  if (cause.empty()) {
    consecutive_skips_ = 0;
    return std::nullopt;
  }
  ++total_skips_;
  if (++consecutive_skips_ > max_consecutive_skips_)
    throw Error({.kind = ErrorKind::kNumerics, .what = fmt::format("{} steps in a row were not finite; last: {}", consecutive_skips_, cause),
                 .where = fmt::format("step {}", step),
                 .fix = "lower schedule.lr, set optim.clip_norm, or look at the data of these steps (events.jsonl names them)"});
  return cause;
}

void Recovery::restore(int64_t consecutive_skips, int64_t total_skips) {
  consecutive_skips_ = consecutive_skips;
  total_skips_ = total_skips;
}

}  // namespace temper
