#include "eval/report/samples.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>

#include "base/json_checks.h"
#include "eval/report/plot.h"
#include "eval/suite.h"
#include "eval/summary.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

constexpr size_t kBetter = 2, kWorse = 1, kSame = 1;   // samples of each kind for a metric
constexpr size_t kLongestPrompt = 600;                 // bytes shown

struct Sample {
  std::string prompt, response;
  std::map<std::string, double> scores;   // by metric, summed
};

// key -> answer and scores of one evaluation; `order` gets the keys in the order of the suite.
std::map<std::string, Sample> read_samples(const fs::path& folder, const Suite& suite, std::vector<std::string>& order) {
  std::map<std::string, Sample> samples;
  const fs::path path = folder / suite.name() / "responses.jsonl";
  const std::string content = read_file(path);
  size_t n = 0;
  for (const std::string_view line : text::split(content, "\n")) {
    ++n;
    if (line.empty()) continue;
    const std::string where = fmt::format("{}:{}", path.string(), n);
    const Json row = parse_json(line, where);
    const std::string key = json_member(row, "key", where).dump();
    with_json_errors(where, ErrorKind::kData, [&] { samples[key] = {row.at("prompt"), row.at("response"), {}}; });
    order.push_back(key);
  }
  for (const Json& row : read_rows(folder, suite.name())) {
    const auto sample = samples.find(row.at("key").dump());
    if (sample == samples.end()) continue;
    for (const Outcome& outcome : suite.outcomes(row)) sample->second.scores[outcome.metric] += outcome.value;
  }
  return samples;
}

std::string shortened(const std::string& prompt) {
  if (prompt.size() <= kLongestPrompt) return prompt;
  size_t end = kLongestPrompt;
  while (end > 0 && (static_cast<unsigned char>(prompt[end]) & 0xC0) == 0x80) --end;   // a whole character
  return prompt.substr(0, end) + " …";
}

// 0: better, 1: worse, 2: the same.
size_t kind_of_change(double before, double after, Direction direction) {
  if (before == after) return 2;
  return (after > before) == (direction != Direction::kLowerIsBetter) ? 0 : 1;
}

std::string half(const char* title, const Sample& sample, const std::string& metric) {
  return fmt::format("<div><small>{}: {} {:g}</small><div class=answer>{}</div></div>", title, html_escape(text::replace_all(metric, "_", " ")),
                     sample.scores.at(metric), html_escape(sample.response));
}

std::string metric_samples(const MetricInfo& info, const std::map<std::string, Sample>& before, const std::map<std::string, Sample>& after,
                           const std::vector<std::string>& order) {
  std::array<std::string, 3> shown;
  std::array<size_t, 3> left = {kBetter, kWorse, kSame};
  for (const std::string& key : order) {
    const auto found = after.find(key);
    if (found == after.end()) continue;
    const Sample &a = before.at(key), &b = found->second;
    if (a.prompt.empty() || !a.scores.contains(info.name) || !b.scores.contains(info.name)) continue;
    const size_t kind = kind_of_change(a.scores.at(info.name), b.scores.at(info.name), info.direction);
    if (left[kind] == 0) continue;
    --left[kind];
    shown[kind] += fmt::format("<div class=\"card sample\"><p>{}</p><div class=pair>{}{}</div></div>\n", html_escape(shortened(a.prompt)),
                               half("before", a, info.name), half("after", b, info.name));
  }
  return shown[0] + shown[1] + shown[2];
}

}  // namespace

std::string sample_pairs(const fs::path& before, const fs::path& after) {
  std::string out;
  for (const std::string& name : suite_names()) {
    const auto there = [&](const fs::path& folder) { return fs::exists(folder / name / "responses.jsonl") && fs::exists(folder / name / "rows.jsonl"); };
    if (!there(before) || !there(after)) continue;
    const auto suite = make_suite(name);
    std::vector<std::string> order, unused;
    const auto old_samples = read_samples(before, *suite, order), new_samples = read_samples(after, *suite, unused);
    for (const MetricInfo& info : suite->metrics()) {
      if (info.margin < 0) continue;
      const std::string shown = metric_samples(info, old_samples, new_samples, order);
      if (!shown.empty()) out += fmt::format("<h3>{} <span class=soft>{}</span></h3>\n{}", html_escape(info.meaning), html_escape(name), shown);
    }
  }
  if (out.empty()) return "";
  return fmt::format("<h2>Samples</h2>\n<p>For each gated measure the first {} prompts that got better, the first that got worse, and the first that did not change, in the order of the suite.</p>\n", kBetter) + out;
}

}  // namespace temper
