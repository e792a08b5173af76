#include "eval/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/interrupt.h"
#include "base/json_checks.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

bool is_rate(const std::vector<Cluster>& clusters) {
  return std::all_of(clusters.begin(), clusters.end(), [](const Cluster& c) { return c.n <= 1 && (c.sum == 0 || c.sum == 1); });
}

MetricValue summarise_one(const std::string& metric, const std::vector<Cluster>& all) {
  std::vector<Cluster> clusters;
  double sum = 0, n = 0;
  for (const Cluster& c : all) {
    if (c.n == 0) continue;
    clusters.push_back(c);
    sum += c.sum;
    n += c.n;
  }
  MetricValue out{metric, n > 0 ? sum / n : 0, {}, std::llround(n)};
  if (n > 0) out.interval = is_rate(clusters) ? wilson_interval(std::llround(sum), out.n) : bootstrap_mean(clusters);
  return out;
}

}  // namespace

std::map<std::string, std::vector<Cluster>> clusters_of(const Suite& suite, const std::vector<Json>& rows) {
  std::map<std::string, std::vector<Cluster>> clusters;
  for (const MetricInfo& info : suite.metrics()) clusters[info.name].resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const Outcome& outcome : suite.outcomes(rows[i])) {
      const auto found = clusters.find(outcome.metric);
      if (found == clusters.end())
        throw Error({.kind = ErrorKind::kInternal,
                     .what = fmt::format("an outcome of {} that metrics() does not name", outcome.metric),
                     .where = fmt::format("suite {}", suite.name()),
                     .fix = "name it there"});
      found->second[i].sum += outcome.value * outcome.count;
      found->second[i].n += outcome.count;
    }
  }
  return clusters;
}

std::vector<MetricValue> summarise(const Suite& suite, const std::vector<Json>& rows) {
  const std::map<std::string, std::vector<Cluster>> clusters = clusters_of(suite, rows);
  std::vector<MetricValue> all;
  for (const MetricInfo& info : suite.metrics()) {
    const MetricValue value = summarise_one(info.name, clusters.at(info.name));
    if (value.n > 0) all.push_back(value);
  }
  return all;
}

namespace {

Json read_summary(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json summary = read_json(path);
  if (!summary.is_object())
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("the summary is {}, an object is needed", summary.type_name()), .where = path.string(), .fix = "remove the file, or choose another --out"});
  return summary;
}

}  // namespace

void check_evaluation_folder(const fs::path& folder, const std::vector<std::unique_ptr<Suite>>& suites) {
  make_writable_folder(folder);
  for (const auto& suite : suites)
    if (fs::exists(fs::symlink_status(folder / suite->name()))) make_writable_folder(folder / suite->name());
  read_summary(folder / "summary.json");
}

void write_evaluation(const fs::path& folder, const Suite& suite, const SuiteResult& result, Json about) {
  const fs::path own = folder / suite.name();
  make_writable_folder(own);
  std::string rows, responses;
  for (size_t i = 0; i < result.rows.size(); ++i) {
    rows += result.rows[i].dump() + "\n";
    const Json text = {{"key", result.asked[i].key}, {"prompt", result.asked[i].prompt}, {"response", result.responses[i]}};
    responses += text.dump() + "\n";
  }
  about["questions_without_answer"] = result.n_missing;
  about["answers_without_question"] = result.n_unknown;
  about["answers_given_twice"] = result.n_repeated;

  const fs::path path = folder / "summary.json";
  Json summary = read_summary(path);
  Json metrics = Json::object();
  for (const MetricValue& m : summarise(suite, result.rows))
    metrics[m.metric] = {{"value", m.value}, {"low", m.interval.low}, {"high", m.interval.high}, {"n", m.n}};
  for (const MetricValue& m : agreement_by_source(suite))
    metrics["grader_agreement"][m.metric] = {{"value", m.value}, {"low", m.interval.low}, {"high", m.interval.high}, {"n", m.n}};
  summary[suite.name()] = metrics;

  // All are written before the first gets its name: a full disk leaves an earlier evaluation as it was, not half of it.
  FileWriter rows_file(own / "rows.jsonl"), responses_file(own / "responses.jsonl"), about_file(own / "about.json"), summary_file(path);
  rows_file.write(rows);
  responses_file.write(responses);
  about_file.write(about.dump(2) + "\n");
  summary_file.write(summary.dump(2) + "\n");
  for (FileWriter* file : {&rows_file, &responses_file, &about_file, &summary_file}) file->finish();
}

std::string metric_table(const std::vector<std::pair<std::string, std::vector<MetricValue>>>& suites) {
  size_t suite_width = 5, metric_width = 6;
  for (const auto& [suite, metrics] : suites) {
    suite_width = std::max(suite_width, suite.size());
    for (const MetricValue& m : metrics) metric_width = std::max(metric_width, m.metric.size());
  }
  std::string out = fmt::format("{:<{}}  {:<{}}  {:>8}  {:>19}  {:>6}\n", "suite", suite_width, "metric", metric_width, "value", "95 % interval", "n");
  for (const auto& [suite, metrics] : suites)
    for (const MetricValue& m : metrics)
      out += fmt::format("{:<{}}  {:<{}}  {:>8.4f}  {:>8.4f} - {:>8.4f}  {:>6}\n", suite, suite_width, m.metric, metric_width, m.value,
                         m.interval.low, m.interval.high, m.n);
  return out;
}

std::vector<MetricValue> agreement_by_source(const Suite& suite) {
  std::vector<Agreement> sums;
  for (const Agreement& a : suite.grader_agreement()) {
    if (sums.empty() || sums.back().source != a.source) sums.push_back({.source = a.source, .of = ""});
    sums.back().n += a.n;
    sums.back().n_held_out += a.n_held_out;
  }
  std::vector<MetricValue> all;
  for (const Agreement& a : sums)
    all.push_back({a.source, static_cast<double>(a.n_held_out) / static_cast<double>(a.n), wilson_interval(a.n_held_out, a.n), a.n});
  return all;
}

std::string agreement_line(const Suite& suite) {
  std::string line;
  for (const MetricValue& m : agreement_by_source(suite))
    line += fmt::format("{}{} {:.1f} % ({:.1f}-{:.1f}, n {})", line.empty() ? "" : "; ", m.metric, 100 * m.value, 100 * m.interval.low, 100 * m.interval.high, m.n);
  return line.empty() ? "" : fmt::format("The grader of {} agrees with people, held out: {}", suite.name(), line);
}

std::vector<Json> read_rows(const fs::path& folder, const std::string& suite) {
  const fs::path path = folder / suite / "rows.jsonl";
  const std::string content = read_file(path);
  const std::unique_ptr<Suite> graded_by = make_suite(suite);
  std::set<std::string> known;
  for (const MetricInfo& info : graded_by->metrics()) known.insert(info.name);
  std::vector<Json> rows;
  size_t n = 0;
  for (const std::string_view line : text::split(content, "\n")) {
    check_interrupt();
    ++n;
    if (line.empty()) continue;
    const std::string where = fmt::format("{}:{}", path.string(), n);
    rows.push_back(parse_json(line, where));
    json_member(rows.back(), "key", where);
    const WhileDoing work("reading " + where);
    for (const Outcome& outcome : with_json_errors(fmt::format("row {}", n), ErrorKind::kData, [&] { return graded_by->outcomes(rows.back()); }))   // here the place is known
      if (!known.contains(outcome.metric))
        throw Error({.kind = ErrorKind::kData, .what = fmt::format("the row has an outcome of \"{}\", which is no metric of {}", outcome.metric, suite), .where = fmt::format("row {}", n),
                     .fix = "run the evaluation again with this version of the program"});
  }
  return rows;
}

}  // namespace temper
