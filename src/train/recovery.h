#pragma once
// The one place that decides what happens when a step goes wrong.

#include <cstdint>
#include <optional>
#include <string>

namespace temper {

/// Steps whose loss or gradient is not finite are skipped: no weight changes, the data of the step counts as used.
/// A run of them means that skipping does not help.
class Recovery {
 public:
  explicit Recovery(int64_t max_consecutive_skips) : max_consecutive_skips_(max_consecutive_skips) {}

  /// Looks at the results of a step before the update.  Returns why it must be skipped, or nothing.
  /// Error{kNumerics} after more than max_consecutive_skips skips in a row.
  std::optional<std::string> judge(int64_t step, double loss, double trunk_norm, double indexer_norm);

  int64_t consecutive_skips() const { return consecutive_skips_; }
  int64_t total_skips() const { return total_skips_; }
  /// What a checkpoint noted.
  void restore(int64_t consecutive_skips, int64_t total_skips);

 private:
  int64_t max_consecutive_skips_, consecutive_skips_ = 0, total_skips_ = 0;
};

}  // namespace temper
