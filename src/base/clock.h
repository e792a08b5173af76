#pragma once
// Time as it passes, whatever the date is set to.

#include <chrono>

namespace temper {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace temper
