#pragma once

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "test_places.h"

namespace temper::test {

struct ProgramResult {
  int exit_code;
  std::string out;  // standard output and standard error
};

/// Runs the built program with these arguments (shell syntax).
inline ProgramResult run_temper(const std::string& arguments) {
  ProgramResult result{-1, ""};
  FILE* pipe = ::popen(fmt::format("{} {} 2>&1", TEMPER_BINARY, arguments).c_str(), "r");
  if (!pipe) return result;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) result.out.append(buffer, n);
  const int status = ::pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

}  // namespace temper::test
