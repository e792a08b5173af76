#pragma once
// The largest numbers of a model config: far above any release, and small enough that products of them fit 64 bits.

#include <string>

#include "model/deepseek_v4/config.h"

namespace temper {

/// Whole numbers of a config are at most this, also those without a limit of their own.
inline constexpr int64_t kLargestConfigNumber = int64_t{1} << 40;

/// Error{kConfig} with key, value and limit.
void check_limits(const ModelConfig& config, const std::string& where);

}  // namespace temper
