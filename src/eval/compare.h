#pragma once
// Two evaluations of the same questions: paired tests, and the gate's verdict.
//
// The gate asks for non-inferiority (spec: pass if the one-sided lower 95 % bound of the difference lies above -margin).  Differences are
// taken in the metric's good direction, so a positive one is always an improvement.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "eval/gates.h"
#include "eval/statistics.h"
#include "eval/suite.h"

namespace temper {

enum class Verdict { kPass, kFail, kInconclusive };
const char* verdict_name(Verdict verdict);

struct MetricComparison {
  std::string suite, metric;
  int64_t n_rows = 0;                   // pairs
  double before = 0, after = 0;
  PairedDifference difference;          // after - before, as measured
  std::optional<double> mcnemar_p;      // for rates of single outcomes
  int64_t n_gained = 0, n_lost = 0;     // pairs that went 0 -> 1 and 1 -> 0
  Direction direction = Direction::kHigherIsBetter;
  double margin = -1;
  std::optional<Verdict> verdict;       // for gated metrics
};

/// pass: the loss is below the margin with 95 % confidence; fail: it is above it with 95 % confidence; else inconclusive.
Verdict judge(const PairedDifference& difference, Direction direction, double margin);

/// Compares rows with equal keys.  `margins` ("suite.metric" -> margin) replaces the suite's own.
/// `n_unpaired` counts rows that only one side has.  Error{kData} for a key that stands twice, or without any pair.
std::vector<MetricComparison> compare_suite(const Suite& suite, const std::vector<Json>& before, const std::vector<Json>& after,
                                            const Margins& margins, size_t& n_unpaired);

struct Comparison {
  std::vector<MetricComparison> metrics;
  std::map<std::string, size_t> n_unpaired;   // by suite
  std::vector<std::string> only_before, only_after;   // suites that one folder holds: nothing to compare
  Verdict verdict = Verdict::kPass;           // fail if one gated metric fails, else inconclusive if one is
  size_t n_gated = 0;
};

/// Compares all suites that both folders hold.  Error{kData} if there is none.
Comparison compare_evaluations(const fs::path& before, const fs::path& after, const Margins& margins = {});

std::string comparison_table(const Comparison& comparison);
Json comparison_json(const Comparison& comparison);

}  // namespace temper
