#pragma once
// Rows as training reads them, and why it refuses one.

#include <functional>
#include <string>

#include "data/row_format.h"

namespace temper {

inline TrainingRow convert(const std::string& line, const RowOptions& options = {}) {
  const Json row = parse_row(line);
  return convert_row(row, detect_row_format(row), options);
}

/// The reason of the BadRow that `action` throws.
inline std::string reason_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const BadRow& bad) {
    return bad.reason;
  }
  return "nothing was wrong";
}
inline std::string bad_reason(const std::string& line, const RowOptions& options = {}) {
  return reason_of([&] { convert(line, options); });
}

}  // namespace temper
