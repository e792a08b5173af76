#include "eval/report/report.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/answers.h"
#include "eval/report/plot.h"
#include "eval/report/run_files.h"
#include "eval/summary.h"
#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

void write_run(const fs::path& folder) {
  make_writable_folder(folder);
  std::string metrics = "{\"step\": 0, \"eval/held_out_loss\": 3.0}\n";
  for (int step = 1; step <= 30; ++step) {
    const Json row = {{"step", step}, {"train/loss", 3.0 / step}, {"train/learning_rate", 1e-3}, {"grad_norm/router", 0.5}, {"grad_norm/embedding", nullptr},
                      {"moe/max_expert_load_ratio/layer_2", 1.5}, {"moe/max_expert_load_ratio/layer_10", 1.2}, {"time/tokens_per_second", 5000.0},
                      {"time/step_seconds", 0.5}, {"train/tokens", step * 1000}};
    metrics += row.dump() + "\n";
  }
  write_file_atomic(folder / "metrics.jsonl", metrics + "{\"step\": 31, \"train/lo");   // a process is writing
  write_file_atomic(folder / "resolved.toml", "seed = 0  # a <script> & more\n");
  write_file_atomic(folder / "environment.json", "{\"temper\": \"0.1\", \"isa\": \"avx2\"}");
  write_file_atomic(folder / "events.jsonl", "{\"time\": \"t\", \"event\": \"skip\", \"step\": 7, \"cause\": \"non-finite loss\"}\n");
}

// An evaluation of the first two prompts of ifeval; the second answer of `good` follows no_comma, that of the other does not.
void write_answers(const fs::path& folder, const std::string& second) {
  const auto suite = make_suite("ifeval");
  const std::vector<Question> questions = suite->questions();
  const StoredAnswers stored{{questions[0].prompt, questions[1].prompt}, {{"same <b>", nullptr}, {second, nullptr}}, 0};
  write_evaluation(folder, *suite, grade_stored(*suite, stored, "here"), Json::object());
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Report, ShowsCurvesSettingsEventsAndEnvironment) {
  const test::TempFolder folder;
  write_run(folder / "my-run");
  const std::string html = make_report({folder / "my-run", {}, {}, ""});
  for (const char* part : {"my-run", "Loss", "held-out", "Learning rate", "Gradient norm by class", "Expert load", "Speed", "non-finite loss", "avx2", "seed = 0"})
    EXPECT_TRUE(holds(html, part)) << part;
}

TEST(Report, NeedsNothingFromOutsideAndEscapesWhatItQuotes) {
  const test::TempFolder folder;
  write_run(folder / "run");
  write_answers(folder / "a", "one, two <i>&");
  write_answers(folder / "b", "one two");
  const std::string html = make_report({folder / "run", folder / "a", folder / "b", "<title>"});
  for (const char* part : {"<script", "<link", "<img", "src=", "url(", "@import", "http://", "<i>&", "same <b>"})
    EXPECT_FALSE(holds(html.substr(0, html.find("Samples")), part)) << part;   // prompts of the suite may hold addresses
  EXPECT_TRUE(holds(html, "one, two &lt;i&gt;&amp;"));
  EXPECT_TRUE(holds(html, "a &lt;script&gt; &amp; more"));
  EXPECT_FALSE(holds(html, "<script"));
}

TEST(Report, PutsTheComparisonBeforeTheCurves) {
  const test::TempFolder folder;
  write_run(folder / "run");
  write_answers(folder / "a", "one, two");
  write_answers(folder / "b", "one two");
  const std::string html = make_report({folder / "run", folder / "a", folder / "b", ""});
  ASSERT_TRUE(holds(html, "Before and after"));
  EXPECT_LT(html.find("Before and after"), html.find("<h2>Training"));
  EXPECT_LT(html.find("<h2>Training"), html.find("<h2>Samples"));
  EXPECT_TRUE(holds(html, "prompt level strict acc"));
}

TEST(Report, ShowsSuitesOfOneSideAsTheyCome) {
  const test::TempFolder folder;
  write_run(folder / "run");
  write_answers(folder / "a", "one, two");
  write_answers(folder / "b", "one two");
  const auto safety = make_suite("safety");
  const StoredAnswers refusal{{safety->questions()[0].prompt}, {{"I'm sorry, but I can't help with that.", nullptr}}, 0};
  write_evaluation(folder / "b", *safety, grade_stored(*safety, refusal, "here"), Json::object());
  const std::string html = make_report({folder / "run", folder / "a", folder / "b", ""});
  EXPECT_TRUE(holds(html, "Measured after only"));
  EXPECT_TRUE(holds(html, "over refusal rate"));
  EXPECT_TRUE(holds(html, "The grader of safety agrees with people, held out: XSTest 9"));
  EXPECT_FALSE(holds(html, "Measured before only"));
}

TEST(Report, AFolderWithoutMetricsIsADataError) {
  const test::TempFolder folder;
  EXPECT_ERROR(make_report({folder.path(), {}, {}, ""}), ErrorKind::kData, "metrics.jsonl");
}

TEST(RunFiles, LeavesOutALineThatIsBeingWrittenAndKeepsLayersInOrder) {
  const test::TempFolder folder;
  write_run(folder / "run");
  const RunFiles run = read_run(folder / "run");
  EXPECT_EQ(run.find("train/loss")->x.size(), 30u);
  EXPECT_TRUE(std::isnan(run.find("grad_norm/embedding")->y[0]));
  EXPECT_EQ(run.names("moe/max_expert_load_ratio/"), (std::vector<std::string>{"moe/max_expert_load_ratio/layer_2", "moe/max_expert_load_ratio/layer_10"}));
}

TEST(RoundTicks, AreRoundAndInside) {
  EXPECT_EQ(round_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(round_ticks(-0.3, 1.1, 3), (std::vector<double>{0, 0.5, 1}));
}

TEST(Smoothed, HalvesTheWeightAtItsHalfLife) {
  const std::vector<double> y = smoothed({0, std::nan(""), 3}, 1);   // weights 1/2 and 1: (0 + 3) / 1.5
  EXPECT_EQ(y[0], 0);
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_NEAR(y[2], 2, 1e-12);
}

TEST(Draw, MoreSeriesThanColoursAreDashed) {
  Plot plot{.title = "t", .x_label = "x", .y_label = "y", .series = {}};
  for (int i = 0; i < 8; ++i) plot.series.push_back({"s", {1, 2}, {double(i), 5}});
  EXPECT_FALSE(holds(draw(plot), "dashed"));
  plot.series.push_back({"s", {1, 2}, {3, 4}});
  EXPECT_TRUE(holds(draw(plot), "dashed"));
}

TEST(Draw, AnEmptyPlotIsNothingAndAFlatOneHasAnAxis) {
  EXPECT_EQ(draw({.title = "t", .x_label = "x", .y_label = "y", .series = {}}), "");
  const std::string flat = draw({.title = "t", .x_label = "x", .y_label = "y", .series = {{"s", {1, 2}, {5, 5}}}});
  EXPECT_FALSE(holds(flat, "nan"));
  EXPECT_FALSE(holds(flat, "inf"));
  EXPECT_TRUE(holds(flat, "<path"));
}

}  // namespace
}  // namespace temper
