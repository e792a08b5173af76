#pragma once
// What a person sees of a run: a bar on a terminal, plain lines elsewhere.  Everything goes to stderr.

#include <cstdint>
#include <deque>
#include <string>

#include "base/clock.h"

namespace temper {

/// Methods from one thread.
class Progress {
 public:
  /// `log_every`: steps between plain lines.
  Progress(int64_t first_step, int64_t total_steps, int64_t log_every);
  ~Progress();   // leaves the terminal on a fresh line

  /// After each step.  `n_tokens` is the step's; the rate and the time left come from the last steps.
  void step(int64_t step, double loss, double lr, int64_t n_tokens);
  /// A sentence about an event, above the bar.
  void say(const std::string& sentence);

 private:
  struct Sample {
    Clock::time_point at;
    int64_t n_tokens;
  };
  void clear_bar();

  const int64_t total_steps_, log_every_;
  const bool terminal_;
  std::deque<Sample> recent_;
  bool bar_shown_ = false;
};

/// "1h 02m", "3m 05s", "12s"
std::string duration_text(double seconds);

}  // namespace temper
