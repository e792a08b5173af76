#pragma once

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "test_places.h"

namespace temper::test {

struct ScriptResult {
  int exit_code;
  std::string out;  // standard output and standard error
};

/// Runs a script of bash in which `temper` is the built program.
inline ScriptResult run_script(const std::string& script) {
  ScriptResult result{-1, ""};
  std::string quoted;
  for (const char c : "set -o pipefail; temper() { \"" TEMPER_BINARY "\" \"$@\"; }\n" + script) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  FILE* pipe = ::popen(fmt::format("exec bash -c '{}' 2>&1", quoted).c_str(), "r");
  if (!pipe) return result;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) result.out.append(buffer, n);
  const int status = ::pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

/// Runs the built program with these arguments (shell syntax).
inline ScriptResult run_temper(const std::string& arguments) { return run_script("temper " + arguments); }

}  // namespace temper::test
