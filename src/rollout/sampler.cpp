#include "rollout/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/rng.h"
#include "tensor/profile.h"

namespace temper {
namespace {

// The largest finite logit's index; ties to the lowest id.
int64_t argmax(std::span<const float> logits) {
  constexpr size_t kLanes = 16;   // in step, so that the compiler makes vectors of them
  constexpr float kLargest = std::numeric_limits<float>::max();
  float best[kLanes];
  std::fill_n(best, kLanes, -std::numeric_limits<float>::infinity());
  int32_t nans[kLanes] = {};
  const auto look = [&](size_t lane, float logit) {
    nans[lane] |= logit != logit ? 1 : 0;
    best[lane] = logit > best[lane] && logit <= kLargest ? logit : best[lane];
  };
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) look(lane, logits[i + lane]);
  for (; i < logits.size(); ++i) look(0, logits[i]);
  const bool has_nan = std::any_of(nans, nans + kLanes, [](int32_t nan) { return nan != 0; });
  const float largest = *std::max_element(best, best + kLanes);
  if (has_nan || largest < -kLargest)
    throw Error({.kind = ErrorKind::kNumerics,
                 .what = has_nan ? "a logit is NaN" : "no logit is finite",
                 .where = "sampling",
                 .fix = "the weights are damaged or training diverged: use an earlier checkpoint"});
  return std::find(logits.begin(), logits.end(), largest) - logits.begin();
}

bool more_probable(const Candidate& a, const Candidate& b) { return a.probability != b.probability ? a.probability > b.probability : a.id < b.id; }

void rescale(std::vector<Candidate>& kept, double total) {
  for (Candidate& candidate : kept) candidate.probability /= total;
}

// All tokens in the order of their ids.
std::vector<Candidate> softmax(std::span<const float> logits, double largest, double temperature) {
  std::vector<Candidate> all(logits.size());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    all[i] = {static_cast<int64_t>(i), std::exp((logits[i] - largest) / temperature)};
    sum += all[i].probability;
  }
  rescale(all, sum);
  return all;
}

void keep_top_k(std::vector<Candidate>& kept, int64_t top_k) {
  std::partial_sort(kept.begin(), kept.begin() + top_k, kept.end(), more_probable);
  kept.resize(static_cast<size_t>(top_k));
  double sum = 0;
  for (const Candidate& candidate : kept) sum += candidate.probability;
  rescale(kept, sum);
}

// Sorts no more of the vocabulary than is needed.
void keep_top_p(std::vector<Candidate>& kept, double top_p) {
  constexpr size_t kFirstSorted = 64, kGrowth = 8;
  double reached = 0;
  size_t n = 0;
  size_t sorted = 0;
  while (n < kept.size() && reached < top_p) {
    if (n == sorted) {
      const size_t next = std::min(kept.size(), std::max(kFirstSorted, sorted * kGrowth));
      std::partial_sort(kept.begin() + static_cast<ptrdiff_t>(sorted), kept.begin() + static_cast<ptrdiff_t>(next), kept.end(), more_probable);
      sorted = next;
    }
    reached += kept[n++].probability;
  }
  kept.resize(n);
  rescale(kept, reached);
}

// In falling probability if top_k or top_p cuts something, else in the order of the ids.
std::vector<Candidate> keep(std::span<const float> logits, const SamplingConfig& config) {
  const int64_t best = argmax(logits);
  if (config.temperature == 0) return {{best, 1.0}};
  std::vector<Candidate> kept = softmax(logits, logits[static_cast<size_t>(best)], config.temperature);
  if (config.top_k > 0 && config.top_k < static_cast<int64_t>(kept.size())) keep_top_k(kept, config.top_k);
  if (config.top_p < 1.0) keep_top_p(kept, config.top_p);
  return kept;
}

}  // namespace

std::vector<Candidate> candidates(std::span<const float> logits, const SamplingConfig& config) {
  std::vector<Candidate> kept = keep(logits, config);
  std::sort(kept.begin(), kept.end(), more_probable);
  return kept;
}

int64_t sample_token(std::span<const float> logits, const SamplingConfig& config, uint64_t request, uint64_t position) {
  const ProfilePart part("sampling");
  if (config.temperature == 0) return argmax(logits);
  const std::vector<Candidate> kept = keep(logits, config);
  int64_t id = kept.front().id;
  if (kept.size() > 1) {
    double left = RandomStream(config.seed, "sampler", request).uniform(position);
    for (const Candidate& candidate : kept) {
      id = candidate.id;   // rounding may leave a rest: then the last one
      left -= candidate.probability;
      if (left < 0) break;
    }
  }
  return id;
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
