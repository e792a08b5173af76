#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace temper {

/// The warning about a text of `n_tokens` tokens that is longer than the model's max_position_embeddings, or nothing if it is not.
/// It is logged once in the life of the process.  A warning, not a limit: the rotary embedding has an angle for every position,
/// but the model was trained on none of those.
std::optional<std::string> warn_beyond_positions(std::string_view what, int64_t n_tokens, int64_t max_positions);

}  // namespace temper
