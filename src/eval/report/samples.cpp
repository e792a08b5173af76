#include "eval/report/samples.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>

#include "eval/report/plot.h"
#include "eval/suite.h"
#include "eval/summary.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

constexpr size_t kBetter = 3, kWorse = 2, kSame = 1;   // samples of each kind in a suite
constexpr size_t kLongestPrompt = 600;                 // bytes shown

struct Sample {
  std::string prompt, response;
  double score = 0;   // of the suite's first metric, in its good direction
  bool counted = false;
};

// key -> answer and score of one evaluation.
std::map<std::string, Sample> read_samples(const fs::path& folder, const Suite& suite, std::vector<std::string>& order) {
  std::map<std::string, Sample> samples;
  const fs::path path = folder / suite.name() / "responses.jsonl";
  const std::string content = read_file(path);
  for (const std::string_view line : text::split(content, "\n")) {
    if (line.empty()) continue;
    const Json row = parse_json(line, path.string());
    const std::string key = row.at("key").dump();
    samples[key] = {row.at("prompt"), row.at("response")};
    order.push_back(key);
  }
  const MetricInfo first = suite.metrics()[0];
  for (const Json& row : read_rows(folder, suite.name())) {
    const auto sample = samples.find(row.at("key").dump());
    if (sample == samples.end()) continue;
    for (const Outcome& outcome : suite.outcomes(row)) {
      if (outcome.metric != first.name) continue;
      sample->second.score += first.direction == Direction::kLowerIsBetter ? -outcome.value : outcome.value;
      sample->second.counted = true;
    }
  }
  return samples;
}

std::string shortened(const std::string& prompt) {
  if (prompt.size() <= kLongestPrompt) return prompt;
  size_t end = kLongestPrompt;
  while (end > 0 && (static_cast<unsigned char>(prompt[end]) & 0xC0) == 0x80) --end;   // a whole character
  return prompt.substr(0, end) + " …";
}

std::string half(const char* title, const Sample& sample, const std::string& metric) {
  return fmt::format("<div><small>{}: {} {:g}</small><div class=answer>{}</div></div>", title, html_escape(metric), std::abs(sample.score), html_escape(sample.response));
}

std::string suite_samples(const Suite& suite, const fs::path& before, const fs::path& after) {
  std::vector<std::string> order, unused;
  const auto old_samples = read_samples(before, suite, order), new_samples = read_samples(after, suite, unused);
  const std::string metric = text::replace_all(suite.metrics()[0].name, "_", " ");
  std::array<std::string, 3> shown;   // better, worse, the same
  std::array<size_t, 3> left = {kBetter, kWorse, kSame};
  for (const std::string& key : order) {
    const auto found = new_samples.find(key);
    if (found == new_samples.end()) continue;
    const Sample &a = old_samples.at(key), &b = found->second;
    if (!a.counted || !b.counted) continue;
    const size_t kind = b.score > a.score ? 0 : b.score < a.score ? 1 : 2;
    if (left[kind] == 0) continue;
    --left[kind];
    shown[kind] += fmt::format("<div class=\"card sample\"><p>{}</p><div class=pair>{}{}</div></div>\n", html_escape(shortened(a.prompt)), half("before", a, metric), half("after", b, metric));
  }
  if (shown[0].empty() && shown[1].empty() && shown[2].empty()) return "";
  return fmt::format("<h3>{}</h3>\n{}{}{}", html_escape(suite.name()), shown[0], shown[1], shown[2]);
}

}  // namespace

std::string sample_pairs(const fs::path& before, const fs::path& after) {
  std::string out;
  for (const std::string& name : suite_names()) {
    const auto there = [&](const fs::path& folder) { return fs::exists(folder / name / "responses.jsonl") && fs::exists(folder / name / "rows.jsonl"); };
    if (there(before) && there(after)) out += suite_samples(*make_suite(name), before, after);
  }
  if (out.empty()) return "";
  return fmt::format("<h2>Samples</h2>\n<p>Of each suite the first {} prompts that got better by its first measure, the first {} that got worse, and {} that did not change.</p>\n", kBetter, kWorse, kSame) + out;
}

}  // namespace temper
