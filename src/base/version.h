#pragma once

#include <string>

namespace temper {

inline constexpr const char* kProgramVersion = "0.1.0";

/// The commit this program was built from, with "-dirty" if files differed; "unknown" outside a git checkout.
std::string program_commit();

}  // namespace temper
