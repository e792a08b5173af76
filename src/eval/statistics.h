#pragma once
// The statistics of evaluations and gates.  Golden values: tests/eval/statistics_test.cpp.
// Everything random is drawn from a counter-based stream with a fixed seed: equal data give equal intervals.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace temper {

struct Interval {
  double low = 0, high = 0;
};

/// Two-sided Wilson score interval of k successes in n trials; z is the normal quantile (1.96 for 95 %).
Interval wilson_interval(int64_t k, int64_t n, double z = 1.959963984540054);

/// Two-sided exact McNemar test: b and c are the counts of pairs that changed one way and the other.  1 if nothing changed.
double mcnemar_exact(int64_t b, int64_t c);

/// One row of a metric: the sum and the number of its outcomes.
struct Cluster {
  double sum = 0, n = 0;
};

/// Sum over all clusters / number over all clusters.
double cluster_mean(const std::vector<Cluster>& clusters);

constexpr int kBootstrapSamples = 10000;

/// 95 % percentile interval of cluster_mean, resampling clusters.
Interval bootstrap_mean(const std::vector<Cluster>& clusters);

/// The difference mean(after) - mean(before) of paired clusters (row i of both belongs to one prompt).
struct PairedDifference {
  double value = 0;
  Interval interval;            // 95 %, two-sided
  double lower = 0, upper = 0;  // one-sided 95 % bounds
};
PairedDifference paired_bootstrap(const std::vector<Cluster>& before, const std::vector<Cluster>& after);

/// Unbiased pass@k: 1 - C(n-c, k) / C(n, k) for c right answers among n samples.  REQUIRES k <= n.
double pass_at_k(int64_t n, int64_t c, int64_t k);

/// Bradley-Terry strengths from wins[i][j] (how often i beat j), on the Elo scale with mean 0.
std::vector<double> bradley_terry_elo(const std::vector<std::vector<double>>& wins);

}  // namespace temper
