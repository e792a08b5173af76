#pragma once

#include <string>

namespace temper {

/// "temper 0.1.0", commit, torch version, instruction set.
std::string version_text();

}  // namespace temper
