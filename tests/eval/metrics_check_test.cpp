#include "eval/report/metrics_check.h"

#include <gtest/gtest.h>

#include "eval/report/report.h"
#include "eval/report/run_files.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

std::string line(int64_t step) { return Json{{"step", step}, {"train/loss", 1.5}}.dump() + "\n"; }
std::string evaluation(int64_t step) { return Json{{"step", step}, {"eval/held_out_loss", 2.5}}.dump() + "\n"; }

using Ranges = std::vector<std::pair<int64_t, int64_t>>;

TEST(MetricsCheck, ACompleteFileKeepsWhatIsUpToTheStep) {
  const std::string whole = evaluation(0) + line(1) + line(2) + evaluation(2) + line(3);
  const MetricsCheck check = check_metrics(whole + line(4) + "{\"step\": 5, \"tr", 3, {0, 2});
  EXPECT_TRUE(check.complete()) << describe(check);
  EXPECT_EQ(check.kept, whole);
}

TEST(MetricsCheck, NamesMissingStepsDamagedLinesAndMissingEvaluations) {
  const MetricsCheck check = check_metrics(line(2) + "garbage\n" + line(5) + "{\"step\": \"x\"}\n[1]\n{\"step\": -3}\n" + line(6), 8, {0, 4});
  EXPECT_EQ(check.missing_steps, (Ranges{{1, 1}, {3, 4}, {7, 8}}));
  EXPECT_EQ(check.damaged_lines, (std::vector<int64_t>{2, 4, 5, 6}));
  EXPECT_EQ(check.missing_evaluations, (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(check.kept, line(2) + line(5) + line(6));
  EXPECT_EQ(describe(check), "damaged lines: 2, 4, 5, 6; missing steps: 1, 3-4, 7-8; missing held-out losses of steps: 0, 4");
}

TEST(MetricsCheck, ALostFileMissesEveryStep) { EXPECT_EQ(check_metrics("", 6, {}).missing_steps, (Ranges{{1, 6}})); }

TEST(MetricsCheck, TheEventsSayWhichHeldOutLossesThereWere) {
  EXPECT_EQ(evaluations_in_events("{\"event\":\"evaluation\",\"step\":0}\nx\n{\"event\":\"start\",\"step\":1}\n{\"event\":\"evaluation\",\"step\":4}\n{\"event\":\"evaluation\",\"step\":9}\n", 8),
            (std::set<int64_t>{0, 4}));
}

TEST(Report, SaysWhatIsMissingOfTheRecord) {
  const test::TempFolder folder;
  fs::create_directories(folder / "run");
  write_file_atomic(folder / "run/metrics.jsonl", line(1) + line(2) + "broken\n" + line(6));
  write_file_atomic(folder / "run/environment.json", R"({"threads": 2, "earlier": [{"threads": 4, "isa": "avx2"}]})");
  const std::string html = make_report({folder / "run", {}, {}, ""});
  EXPECT_NE(html.find("The record is not complete.</b> metrics.jsonl: damaged lines: 3; missing steps: 3-5"), std::string::npos);
  EXPECT_NE(html.find("Environment of an earlier start"), std::string::npos);
  write_file_atomic(folder / "run/metrics.jsonl", line(1) + line(2));
  EXPECT_EQ(make_report({folder / "run", {}, {}, ""}).find("The record is not complete"), std::string::npos);
}

}  // namespace
}  // namespace temper
