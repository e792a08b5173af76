#include "app/version.h"

#include <ATen/Version.h>
#include <ATen/cpu/Utils.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include "base/version.h"

namespace temper {

std::string version_text() {
  return fmt::format("temper {}\ncommit {}\ntorch {}\nISA {}\n", kProgramVersion, program_commit(), TORCH_VERSION, at::get_cpu_capability());
}

}  // namespace temper
