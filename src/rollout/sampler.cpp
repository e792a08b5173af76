#include "rollout/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"

namespace temper {
namespace {

// The largest finite logit's index; ties to the lowest id.
int64_t argmax(std::span<const float> logits) {
  int64_t best = -1;
  bool has_nan = false;
  for (size_t i = 0; i < logits.size(); ++i) {
    has_nan |= std::isnan(logits[i]);
    if (std::isfinite(logits[i]) && (best < 0 || logits[i] > logits[static_cast<size_t>(best)])) best = static_cast<int64_t>(i);
  }
  if (has_nan || best < 0)
    throw Error({.kind = ErrorKind::kNumerics,
                 .what = has_nan ? "a logit is NaN" : "no logit is finite",
                 .where = "sampling",
                 .fix = "the weights are damaged or training diverged: use an earlier checkpoint"});
  return best;
}

double log_sum_exp(std::span<const float> logits, double largest) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

}  // namespace

std::vector<Candidate> candidates(std::span<const float> logits, const SamplingConfig& config) {
  const int64_t best = argmax(logits);
  if (config.temperature == 0) return {{best, 1.0}};
  const double largest = logits[static_cast<size_t>(best)];
  std::vector<Candidate> kept;
  kept.reserve(logits.size());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    kept.push_back({static_cast<int64_t>(i), std::exp((logits[i] - largest) / config.temperature)});
    sum += kept.back().probability;
  }
  const auto more_probable = [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
  };
  const auto rescale = [&](double total) {
    for (Candidate& candidate : kept) candidate.probability /= total;
  };
  if (config.top_k > 0 && config.top_k < static_cast<int64_t>(kept.size())) {
    std::partial_sort(kept.begin(), kept.begin() + config.top_k, kept.end(), more_probable);
    kept.resize(static_cast<size_t>(config.top_k));
    sum = 0;
    for (const Candidate& candidate : kept) sum += candidate.probability;
  } else {
    std::sort(kept.begin(), kept.end(), more_probable);
  }
  rescale(sum);
  if (config.top_p < 1.0) {
    double reached = 0;
    size_t n = 0;
    while (n < kept.size() && reached < config.top_p) reached += kept[n++].probability;
    kept.resize(n);
    rescale(reached);
  }
  return kept;
}

Sample sample_token(std::span<const float> logits, const SamplingConfig& config, uint64_t request, uint64_t position) {
  const std::vector<Candidate> kept = candidates(logits, config);
  int64_t id = kept.front().id;
  if (kept.size() > 1) {
    double left = RandomStream(config.seed, "sampler", request).uniform(position);
    for (const Candidate& candidate : kept) {
      id = candidate.id;   // rounding may leave a rest: then the last one
      left -= candidate.probability;
      if (left < 0) break;
    }
  }
  const double largest = *std::max_element(logits.begin(), logits.end());
  return {id, logits[static_cast<size_t>(id)] - log_sum_exp(logits, largest)};
}

void check_sampling(const SamplingConfig& config, std::string_view where) {
  const auto refuse = [&](std::string_view name, double value, std::string_view bounds) {
    throw Error({.kind = ErrorKind::kConfig,
                 .what = fmt::format("{} = {} is outside {}", name, value, bounds),
                 .where = std::string(where),
                 .fix = fmt::format("choose a value in {}", bounds)});
  };
  if (!(config.temperature >= 0 && std::isfinite(config.temperature))) refuse("temperature", config.temperature, "[0, infinity)");
  if (!(config.top_p > 0 && config.top_p <= 1)) refuse("top_p", config.top_p, "(0, 1]");
  if (config.top_k < 0) refuse("top_k", static_cast<double>(config.top_k), "[0, infinity)");
}

}  // namespace temper
