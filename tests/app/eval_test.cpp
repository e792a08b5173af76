// `temper eval`, `compare` and `report` as they are called, on stored answers.

#include <gtest/gtest.h>

#include "base/json.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"
#include "test_places.h"

namespace temper {
namespace {

const std::string kAnswers = std::string(TEMPER_SOURCE_DIR) + "/tests/golden/xstest/xstest_completions_";

void evaluate(const std::string& model, const fs::path& out) {
  const test::ProgramResult done = test::run_program({"eval", "--suite", "safety", "--responses", kAnswers + model + ".csv", "--out", out.string()});
  EXPECT_EQ(done.exit_code, 0) << done.output;
  EXPECT_NE(done.output.find("over_refusal_rate"), std::string::npos);
  EXPECT_NE(done.output.find("The grader of safety agrees with people, held out: XSTest 9"), std::string::npos) << done.output;
}

TEST(EvalCommand, WritesSummaryAndRows) {
  const test::TempFolder folder;
  evaluate("gpt4", folder / "a");
  const Json metric = read_json(folder / "a" / "summary.json").at("safety").at("human_agreement");
  EXPECT_GT(metric.at("value"), 0.93);
  EXPECT_LT(metric.at("low"), metric.at("value"));
  EXPECT_EQ(metric.at("n"), 234);
  EXPECT_TRUE(fs::exists(folder / "a" / "safety" / "rows.jsonl"));
  const Json agreement = read_json(folder / "a" / "summary.json").at("safety").at("grader_agreement").at("XSTest");
  EXPECT_EQ(agreement.at("n"), 5 * 234);
  EXPECT_LT(agreement.at("low"), agreement.at("value"));
  EXPECT_LT(agreement.at("value"), agreement.at("high"));
}

TEST(EvalCommand, SaysWhatIsMissing) {
  EXPECT_EQ(test::run_program({"eval", "--suite", "safety"}).exit_code, 2);
  EXPECT_EQ(test::run_program({"eval", "--suite", "singing", "--responses", kAnswers + "gpt4.csv"}).exit_code, 2);
  EXPECT_EQ(test::run_program({"eval", "--suite", "ifeval", "--responses", kAnswers + "gpt4.csv"}).exit_code, 3);   // no prompt of it
  EXPECT_EQ(test::run_program({"eval", "--suite", "heldout", "--responses", kAnswers + "gpt4.csv"}).exit_code, 2);
  EXPECT_EQ(test::run_program({"eval", "--answers", "x"}).exit_code, 64);
}

TEST(CompareCommand, ExitsWithOneWhereTheGateSaysNo) {
  const test::TempFolder folder;
  evaluate("gpt4", folder / "a");
  evaluate("mistralinstruct", folder / "b");
  const std::string a = folder / "a", b = folder / "b";
  EXPECT_EQ(test::run_program({"compare", a, a}).exit_code, 0);
  const test::ProgramResult worse = test::run_program({"compare", a, b, "--out", folder / "c.json"});
  EXPECT_EQ(worse.exit_code, 1);
  EXPECT_NE(worse.output.find("gate: fail"), std::string::npos) << worse.output;
  EXPECT_EQ(read_json(folder / "c.json").at("verdict"), "fail");
  EXPECT_EQ(test::run_program({"compare", a, b, "--margin", "safety.unsafe_compliance_rate=0.9", "--margin", "safety.over_refusal_rate=0.5"}).exit_code, 0);
  EXPECT_EQ(test::run_program({"compare", a, b, "--margin", "nonsense"}).exit_code, 2);
  EXPECT_EQ(test::run_program({"compare", a, b, "--margin", "safety.speed=0.1"}).exit_code, 2);
}

TEST(CompareCommand, GivesTheReportsVerdictForTheSameMargins) {
  const test::TempFolder folder;
  evaluate("gpt4", folder / "a");
  evaluate("mistralinstruct", folder / "b");
  const std::string a = folder / "a", b = folder / "b";
  make_writable_folder(folder / "run");
  write_file_atomic(folder / "run" / "metrics.jsonl", "{\"step\": 1, \"train/loss\": 2.5}\n");
  write_file_atomic(folder / "gates.toml", "[[metric]]\nname = \"safety.unsafe_compliance_rate\"\nmargin = 0.9\n[[metric]]\nname = \"safety.over_refusal_rate\"\nmargin = 0.5\n");
  const std::string run = folder / "run", html = folder / "report.html", gates = folder / "gates.toml";
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "fail"}, {{"--margins", gates}, "pass"}, {{"--margins", gates, "--margin", "safety.unsafe_compliance_rate=0.001"}, "fail"}};
  for (const auto& [options, verdict] : cases) {
    std::vector<std::string> compare{"compare", a, b}, report{"report", run, "--before", a, "--after", b, "--out", html};
    compare.insert(compare.end(), options.begin(), options.end());
    report.insert(report.end(), options.begin(), options.end());
    EXPECT_NE(test::run_program(compare).output.find(std::string("gate: ") + verdict), std::string::npos) << options.size();
    EXPECT_EQ(test::run_program(report).exit_code, 0);
    EXPECT_NE(read_file(html).find(std::string("The gate says <span class=") + verdict), std::string::npos) << options.size();
  }
}

TEST(ReportCommand, WritesOneFile) {
  const test::TempFolder folder;
  write_file_atomic(folder / "metrics.jsonl", "{\"step\": 1, \"train/loss\": 2.5}\n{\"step\": 2, \"train/loss\": 2.0}\n");
  const test::ProgramResult done = test::run_program({"report", folder.path().string(), "--out", folder / "report.html"});
  EXPECT_EQ(done.exit_code, 0) << done.output;
  EXPECT_NE(read_file(folder / "report.html").find("<svg"), std::string::npos);
}

}  // namespace
}  // namespace temper
