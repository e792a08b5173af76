#pragma once
// Chooses the next token from logits.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace temper {

struct SamplingConfig {
  double temperature = 1.0;   // divides the logits; 0 = greedy
  double top_p = 1.0;         // keep the fewest most probable tokens whose probability reaches this; 1 = all
  int64_t top_k = 0;          // keep so many most probable tokens, before top_p; 0 = all
  uint64_t seed = 0;
};

/// The token for position `position` of request `request`.
/// Greedy: the largest logit, ties to the lowest id.  Else a draw that depends on (seed, request, position) and the logits
/// only: never on the other requests of a batch.
/// Errors   Error{kNumerics} if a logit is NaN or none is finite; REQUIRES temperature >= 0, 0 < top_p <= 1, top_k >= 0
/// Threads  any
int64_t sample_token(std::span<const float> logits, const SamplingConfig& config, uint64_t request, uint64_t position);

/// A token that may be drawn, and its probability after temperature, top_k and top_p; sums to 1.
struct Candidate {
  int64_t id;
  double probability;
};
/// The candidates in falling probability (ties: lower id first).  Temperature 0 gives one.
std::vector<Candidate> candidates(std::span<const float> logits, const SamplingConfig& config);

/// Error{kConfig} with the option's name for values outside the bounds above; `where` names the row or command line.
void check_sampling(const SamplingConfig& config, std::string_view where);

}  // namespace temper
