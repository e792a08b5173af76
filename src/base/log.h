#pragma once
// Log lines on stderr: "[subsystem] sentence key=value_with_unit".  Results never go here; they go to stdout or files.

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace temper {

enum class LogLevel { kDebug, kInfo, kWarn };

/// Lines below this level are dropped.  TEMPER_LOG=debug|info|warn sets the start value (info).
void set_log_level(LogLevel level);

/// Threads: lines of several threads do not mix.
void log_line(LogLevel level, std::string_view subsystem, std::string_view sentence);
/// The same sentence is printed once in the life of the process.
void log_line_once(LogLevel level, std::string_view subsystem, const std::string& sentence);

template <class... Args>
void log_info(std::string_view subsystem, fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kInfo, subsystem, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_debug(std::string_view subsystem, fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kDebug, subsystem, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warn(std::string_view subsystem, fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kWarn, subsystem, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn_once(std::string_view subsystem, fmt::format_string<Args...> format, Args&&... args) {
  log_line_once(LogLevel::kWarn, subsystem, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace temper
