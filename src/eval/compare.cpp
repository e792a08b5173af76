#include "eval/compare.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/summary.h"

namespace temper {
namespace {

// key -> index of the row.
std::map<std::string, size_t> index_rows(const std::vector<Json>& rows, const std::string& suite) {
  std::map<std::string, size_t> index;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string key = json_member(rows[i], "key", fmt::format("row {} of {}", i + 1, suite)).dump();
    if (!index.emplace(key, i).second)
      throw Error({.kind = ErrorKind::kData,
                   .what = fmt::format("the key {} stands twice", key),
                   .where = fmt::format("rows of the suite {}", suite),
                   .fix = "run the evaluation again into a fresh folder"});
  }
  return index;
}

MetricComparison compare_metric(const MetricInfo& info, const std::vector<Cluster>& before, const std::vector<Cluster>& after) {
  MetricComparison c;
  c.metric = info.name;
  c.direction = info.direction;
  c.margin = info.margin;
  std::vector<Cluster> a, b;
  bool single = true;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i].n == 0 || after[i].n == 0) continue;   // the row has no such outcome on one side
    a.push_back(before[i]);
    b.push_back(after[i]);
    const auto binary = [](const Cluster& x) { return x.n == 1 && (x.sum == 0 || x.sum == 1); };
    single = single && binary(before[i]) && binary(after[i]);
    c.n_gained += before[i].sum < after[i].sum;
    c.n_lost += before[i].sum > after[i].sum;
  }
  c.n_rows = static_cast<int64_t>(a.size());
  c.before = cluster_mean(a);
  c.after = cluster_mean(b);
  c.difference = paired_bootstrap(a, b);
  if (single && c.n_rows > 0) c.mcnemar_p = mcnemar_exact(c.n_gained, c.n_lost);
  return c;
}

// "better", "worse" or nothing, from the two-sided interval.
const char* reading(const MetricComparison& c) {
  const bool up = c.difference.interval.low > 0, down = c.difference.interval.high < 0;
  if (c.direction == Direction::kNeutral || (!up && !down)) return "";
  return up == (c.direction == Direction::kHigherIsBetter) ? "better" : "worse";
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass: return "pass";
    case Verdict::kFail: return "fail";
    case Verdict::kInconclusive: return "inconclusive";
  }
  return "";
}

Verdict judge(const PairedDifference& difference, Direction direction, double margin) {
  const double sign = direction == Direction::kLowerIsBetter ? -1 : 1;
  const double worst = sign > 0 ? difference.lower : -difference.upper;
  const double best = sign > 0 ? difference.upper : -difference.lower;
  if (worst > -margin || (worst == 0 && best == 0)) return Verdict::kPass;
  return best < -margin ? Verdict::kFail : Verdict::kInconclusive;
}

std::vector<MetricComparison> compare_suite(const Suite& suite, const std::vector<Json>& before, const std::vector<Json>& after,
                                            const Margins& margins, size_t& n_unpaired) {
  const std::map<std::string, size_t> index_before = index_rows(before, suite.name()), index_after = index_rows(after, suite.name());
  std::vector<Json> rows_before, rows_after;
  for (const auto& [key, i] : index_before) {
    const auto found = index_after.find(key);
    if (found == index_after.end()) continue;
    rows_before.push_back(before[i]);
    rows_after.push_back(after[found->second]);
  }
  n_unpaired = before.size() + after.size() - 2 * rows_before.size();
  if (rows_before.empty())
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("the two evaluations share no row of {}", suite.name()),
                 .where = "the rows.jsonl files",
                 .fix = "evaluate both models on the same questions"});
  const auto clusters_before = clusters_of(suite, rows_before), clusters_after = clusters_of(suite, rows_after);
  std::vector<MetricComparison> all;
  for (MetricInfo info : suite.metrics()) {
    if (const auto margin = margins.find(suite.name() + "." + info.name); margin != margins.end()) info.margin = margin->second;
    MetricComparison c = compare_metric(info, clusters_before.at(info.name), clusters_after.at(info.name));
    if (c.n_rows == 0) continue;
    c.suite = suite.name();
    if (c.margin >= 0) c.verdict = judge(c.difference, c.direction, c.margin);
    all.push_back(c);
  }
  return all;
}

Comparison compare_evaluations(const fs::path& before, const fs::path& after, const Margins& margins) {
  Comparison comparison;
  for (const std::string& name : suite_names()) {
    const bool in_before = fs::exists(before / name / "rows.jsonl"), in_after = fs::exists(after / name / "rows.jsonl");
    if (in_before && !in_after) comparison.only_before.push_back(name);
    if (in_after && !in_before) comparison.only_after.push_back(name);
    if (!in_before || !in_after) continue;
    const auto suite = make_suite(name);
    for (MetricComparison& c : compare_suite(*suite, read_rows(before, name), read_rows(after, name), margins, comparison.n_unpaired[name]))
      comparison.metrics.push_back(std::move(c));
  }
  if (comparison.metrics.empty())
    throw Error({.kind = ErrorKind::kData,
                 .what = "the two folders share no evaluated suite",
                 .where = fmt::format("{} and {}", before.string(), after.string()),
                 .fix = "give two folders that `temper eval --out` wrote, with a suite in common"});
  for (const MetricComparison& c : comparison.metrics) {
    if (!c.verdict) continue;
    ++comparison.n_gated;
    if (*c.verdict == Verdict::kFail) comparison.verdict = Verdict::kFail;
    else if (*c.verdict == Verdict::kInconclusive && comparison.verdict == Verdict::kPass) comparison.verdict = Verdict::kInconclusive;
  }
  return comparison;
}

std::string comparison_table(const Comparison& comparison) {
  size_t width = 6;
  for (const MetricComparison& c : comparison.metrics) width = std::max(width, c.suite.size() + c.metric.size() + 1);
  std::string out = fmt::format("{:<{}}  {:>6}  {:>8}  {:>8}  {:>9}  {:>21}  {:>8}  {:>7}  {}\n", "metric", width, "pairs", "before", "after",
                                "change", "95 % interval", "McNemar", "margin", "verdict");
  for (const MetricComparison& c : comparison.metrics) {
    out += fmt::format("{:<{}}  {:>6}  {:>8.4f}  {:>8.4f}  {:>+9.4f}  {:>+9.4f} - {:>+9.4f}  {:>8}  {:>7}  {}\n", c.suite + "." + c.metric, width,
                       c.n_rows, c.before, c.after, c.difference.value, c.difference.interval.low, c.difference.interval.high,
                       c.mcnemar_p ? fmt::format("{:.4f}", *c.mcnemar_p) : "", c.margin >= 0 ? fmt::format("{:.3f}", c.margin) : "",
                       c.verdict ? verdict_name(*c.verdict) : reading(c));
  }
  for (const auto& [suite, n] : comparison.n_unpaired)
    if (n > 0) out += fmt::format("{}: {} rows stand in one evaluation only and were left out\n", suite, n);
  for (const std::string& suite : comparison.only_before) out += fmt::format("{}: only in the first evaluation, not compared\n", suite);
  for (const std::string& suite : comparison.only_after) out += fmt::format("{}: only in the second evaluation, not compared\n", suite);
  out += comparison.n_gated == 0 ? std::string("gate: no metric of these suites is gated\n")
                                 : fmt::format("gate: {}\n", verdict_name(comparison.verdict));
  return out;
}

Json comparison_json(const Comparison& comparison) {
  Json metrics = Json::array();
  for (const MetricComparison& c : comparison.metrics) {
    Json row = {{"suite", c.suite}, {"metric", c.metric}, {"pairs", c.n_rows}, {"before", c.before}, {"after", c.after},
                {"difference", c.difference.value}, {"low", c.difference.interval.low}, {"high", c.difference.interval.high},
                {"one_sided_low", c.difference.lower}, {"one_sided_high", c.difference.upper}, {"gained", c.n_gained}, {"lost", c.n_lost}};
    if (c.mcnemar_p) row["mcnemar_p"] = *c.mcnemar_p;
    if (c.margin >= 0) row["margin"] = c.margin;
    if (c.verdict) row["verdict"] = verdict_name(*c.verdict);
    metrics.push_back(row);
  }
  return {{"verdict", comparison.n_gated ? verdict_name(comparison.verdict) : "no gate"}, {"metrics", metrics}};
}

}  // namespace temper
