#pragma once
// From graded rows to metrics with intervals, and to the files of an evaluation folder:
//   DIR/summary.json             {"suite": {"metric": {"value", "low", "high", "n"}}}; suites already there are kept.  Suites whose grader is compared
//                                with people also have "grader_agreement": {"source": {"value", "low", "high", "n"}}
//   DIR/<suite>/rows.jsonl       graded rows
//   DIR/<suite>/responses.jsonl  {key, prompt, response} of the same rows
//   DIR/<suite>/about.json       where the answers came from, how many questions had none

#include <map>
#include <string>
#include <vector>

#include "eval/statistics.h"
#include "eval/suite.h"

namespace temper {

struct MetricValue {
  std::string metric;
  double value = 0;
  Interval interval;   // 95 %: Wilson for rates of single outcomes, else bootstrap over rows
  int64_t n = 0;       // outcomes
};

/// Per metric, what each row adds (empty clusters where a row adds nothing).  clusters[metric][row].
std::map<std::string, std::vector<Cluster>> clusters_of(const Suite& suite, const std::vector<Json>& rows);

/// The suite's metrics, in its order; metrics without outcomes are left out.
std::vector<MetricValue> summarise(const Suite& suite, const std::vector<Json>& rows);

/// Proves that write_evaluation() will be able to write, and that a summary.json that is there can be read: before hours of work.
void check_evaluation_folder(const fs::path& folder, const std::vector<std::unique_ptr<Suite>>& suites);
/// Writes the files above; `about` says where the answers came from.
void write_evaluation(const fs::path& folder, const Suite& suite, const SuiteResult& result, Json about);

/// The table that is printed: suite, metric, value, interval, n.
std::string metric_table(const std::vector<std::pair<std::string, std::vector<MetricValue>>>& suites);

/// The grader's agreement with people, all answers of one source together, held out.  In the suite's order.
std::vector<MetricValue> agreement_by_source(const Suite& suite);

/// The same in one line, to be read with the figures; empty if the suite says nothing of its grader.
std::string agreement_line(const Suite& suite);

/// The rows of a finished evaluation.
std::vector<Json> read_rows(const fs::path& folder, const std::string& suite);

}  // namespace temper
