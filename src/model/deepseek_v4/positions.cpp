#include "model/deepseek_v4/positions.h"

#include <atomic>

#include "base/log.h"

namespace temper {

std::optional<std::string> warn_beyond_positions(std::string_view what, int64_t n_tokens, int64_t max_positions) {
  if (n_tokens <= max_positions) return std::nullopt;
  static std::atomic_flag said = ATOMIC_FLAG_INIT;
  std::string warning = fmt::format("{} has {} tokens, the model's max_position_embeddings is {}: it was not trained on positions beyond that", what, n_tokens, max_positions);
  if (!said.test_and_set()) log_warn("model", "{}", warning);
  return warning;
}

}  // namespace temper
