#include "app/version.h"

#include <ATen/Version.h>
#include <ATen/cpu/Utils.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#ifndef TEMPER_COMMIT
#define TEMPER_COMMIT "unknown"
#endif

namespace temper {

std::string version_text() {
  return fmt::format("temper 0.1.0\ncommit {}\ntorch {}\nISA {}\n", TEMPER_COMMIT, TORCH_VERSION, at::get_cpu_capability());
}

}  // namespace temper
