#include "base/log.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>

#include "base/console.h"

namespace temper {
namespace {

LogLevel start_level() {
  const char* name = std::getenv("TEMPER_LOG");
  const std::string_view level = name ? name : "info";
  return level == "debug" ? LogLevel::kDebug : level == "warn" ? LogLevel::kWarn : LogLevel::kInfo;
}

std::atomic<LogLevel>& threshold() {
  static std::atomic<LogLevel> level = start_level();
  return level;
}

std::mutex& output_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

void set_log_level(LogLevel level) { threshold() = level; }

void log_line(LogLevel level, std::string_view subsystem, std::string_view sentence) {
  if (level < threshold().load()) return;
  const std::string line =
      fmt::format("{}[{}] {}\n", level == LogLevel::kWarn ? "warning: " : "", subsystem, printable(sentence));
  const std::lock_guard lock(output_mutex());
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void log_line_once(LogLevel level, std::string_view subsystem, const std::string& sentence) {
  static std::mutex mutex;
  static std::set<std::string> said;
  {
    const std::lock_guard lock(mutex);
    if (!said.insert(std::string(subsystem) + '\0' + sentence).second) return;
  }
  log_line(level, subsystem, sentence);
}

}  // namespace temper
