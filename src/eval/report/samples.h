#pragma once
#include <string>

#include "base/files.h"

namespace temper {

/// HTML: answers of both evaluations to the same prompts, side by side.  Chosen by rule, not by taste: for each gated metric the first
/// prompts (in the order of the suite) that got better, got worse, and stayed the same.
std::string sample_pairs(const fs::path& before, const fs::path& after);

}  // namespace temper
