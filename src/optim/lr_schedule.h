#pragma once
// The learning rate of each step.

#include <cstdint>
#include <string>

#include "base/config.h"

namespace temper {

struct LrScheduleConfig {
  std::string kind = "cosine";
  double lr = 2.7e-4;
  double min_ratio = 0.1;
  int64_t warmup_steps = 0;
  double decay_fraction = 0.2;

  template <class Visitor> void visit(Visitor& v) {
    v("kind", kind, "shape after the warm-up; wsd = constant, then linear decay", one_of({"constant", "linear", "cosine", "wsd"}));
    v("lr", lr, "peak learning rate, per step", between(0.0, 100.0));
    v("min_ratio", min_ratio, "learning rate at the end, as a fraction of the peak", between(0.0, 1.0));
    v("warmup_steps", warmup_steps, "steps of linear growth from 0 to the peak", between(0, 1e9));
    v("decay_fraction", decay_fraction, "wsd: fraction of all steps that the final decay takes", between(0.0, 1.0));
  }
};

/// The learning rate of the step with this index (0 for the first) of `total_steps`.
/// Warm-up: step s has lr * (s + 1) / warmup_steps, so no step is lost at 0 and the peak is reached by its last step.
/// Decay: from the peak at the end of the warm-up (wsd: at the start of the decay) to lr * min_ratio at the last step.
double learning_rate(const LrScheduleConfig& config, int64_t step, int64_t total_steps);

}  // namespace temper
