#include "eval/statistics.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace temper {
namespace {

double mean_of(double sum, double n) { return n > 0 ? sum / n : 0; }

// The value below which the share q of sorted values lies (linear between neighbours, as numpy).
double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const size_t low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

// statistic(resampled indices) for every bootstrap sample, sorted.
template <class Statistic> std::vector<double> resample(size_t n, Statistic statistic) {
  const RandomStream stream(0, "eval.bootstrap");
  std::vector<double> values(kBootstrapSamples);
  std::vector<uint32_t> drawn(n);
  for (int sample = 0; sample < kBootstrapSamples; ++sample) {
    const uint64_t first = static_cast<uint64_t>(sample) * n;
    for (size_t i = 0; i < n; ++i) drawn[i] = static_cast<uint32_t>(stream.below(first + i, n));
    values[sample] = statistic(drawn);
  }
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace

Interval wilson_interval(int64_t k, int64_t n, double z) {
  if (n == 0) return {0, 1};
  const double count = static_cast<double>(n), p = static_cast<double>(k) / count;
  const double denominator = 1 + z * z / count;
  const double centre = (p + z * z / (2 * count)) / denominator;
  const double half = z / denominator * std::sqrt(p * (1 - p) / count + z * z / (4 * count * count));
  // At the ends the formula gives 0 and 1 up to rounding.
  return {k == 0 ? 0 : std::max(0.0, centre - half), k == n ? 1 : std::min(1.0, centre + half)};
}

double mcnemar_exact(int64_t b, int64_t c) {
  const int64_t n = b + c;
  double tail = 0;
  for (int64_t i = 0; i <= std::min(b, c); ++i) {
    const double log_choose = std::lgamma(n + 1.0) - std::lgamma(i + 1.0) - std::lgamma(n - i + 1.0);
    tail += std::exp(log_choose - static_cast<double>(n) * M_LN2);
  }
  return std::min(1.0, 2 * tail);
}

double cluster_mean(const std::vector<Cluster>& clusters) {
  Cluster total;
  for (const Cluster& c : clusters) total = {total.sum + c.sum, total.n + c.n};
  return mean_of(total.sum, total.n);
}

Interval bootstrap_mean(const std::vector<Cluster>& clusters) {
  if (clusters.empty()) return {};
  const std::vector<double> values = resample(clusters.size(), [&](const std::vector<uint32_t>& drawn) {
    double sum = 0, n = 0;
    for (const uint32_t i : drawn) sum += clusters[i].sum, n += clusters[i].n;
    return mean_of(sum, n);
  });
  return {quantile(values, 0.025), quantile(values, 0.975)};
}

PairedDifference paired_bootstrap(const std::vector<Cluster>& before, const std::vector<Cluster>& after) {
  PairedDifference result;
  if (before.empty()) return result;
  const std::vector<double> values = resample(before.size(), [&](const std::vector<uint32_t>& drawn) {
    double sum_a = 0, n_a = 0, sum_b = 0, n_b = 0;
    for (const uint32_t i : drawn) {
      sum_a += before[i].sum, n_a += before[i].n;
      sum_b += after[i].sum, n_b += after[i].n;
    }
    return mean_of(sum_b, n_b) - mean_of(sum_a, n_a);
  });
  result.value = cluster_mean(after) - cluster_mean(before);
  result.interval = {quantile(values, 0.025), quantile(values, 0.975)};
  result.lower = quantile(values, 0.05);
  result.upper = quantile(values, 0.95);
  return result;
}

double pass_at_k(int64_t n, int64_t c, int64_t k) {
  if (n - c < k) return 1;
  double none = 1;
  for (int64_t i = n - c + 1; i <= n; ++i) none *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - none;
}

std::vector<double> bradley_terry_elo(const std::vector<std::vector<double>>& wins) {
  constexpr int kMostRounds = 10000;
  constexpr double kConverged = 1e-12;
  const size_t n = wins.size();
  std::vector<double> p(n, 1);
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<double> next(n);
    double log_sum = 0;
    for (size_t i = 0; i < n; ++i) {
      double won = 0, expected = 0;
      for (size_t j = 0; j < n; ++j) {
        if (i == j) continue;
        won += wins[i][j];
        expected += (wins[i][j] + wins[j][i]) / (p[i] + p[j]);
      }
      next[i] = won / expected;
      log_sum += std::log(next[i]);
    }
    const double scale = std::exp(log_sum / static_cast<double>(n));   // geometric mean 1
    double change = 0;
    for (size_t i = 0; i < n; ++i) {
      next[i] /= scale;
      change = std::max(change, std::abs(next[i] - p[i]));
    }
    p = next;
    if (change < kConverged) break;
  }
  std::vector<double> elo;
  for (const double strength : p) elo.push_back(400 * std::log10(strength));
  return elo;
}

}  // namespace temper
