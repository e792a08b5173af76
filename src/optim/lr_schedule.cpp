#include "optim/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace temper {

double learning_rate(const LrScheduleConfig& config, int64_t step, int64_t total_steps) {
  if (step < config.warmup_steps)
    return config.lr * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps);
  int64_t start = config.warmup_steps;   // the step that still has the peak
  if (config.kind == "constant") return config.lr;
  if (config.kind == "wsd")
    start = std::max(start, total_steps - 1 - static_cast<int64_t>(std::llround(config.decay_fraction * static_cast<double>(total_steps))));
  if (step <= start) return config.lr;
  const double progress = std::min(1.0, static_cast<double>(step - start) / static_cast<double>(std::max<int64_t>(1, total_steps - 1 - start)));
  const double kept = config.kind == "cosine" ? 0.5 * (1.0 + std::cos(std::numbers::pi * progress)) : 1.0 - progress;
  return config.lr * (config.min_ratio + (1.0 - config.min_ratio) * kept);
}

}  // namespace temper
