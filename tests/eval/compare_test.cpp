#include "eval/compare.h"

#include <gtest/gtest.h>

#include <map>

#include "eval/answers.h"
#include "eval/summary.h"
#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

PairedDifference bounds(double lower, double upper) { return {(lower + upper) / 2, {lower, upper}, lower, upper}; }

TEST(Judge, HasThreeAnswers) {
  EXPECT_EQ(judge(bounds(-0.02, 0.01), Direction::kHigherIsBetter, 0.03), Verdict::kPass);
  EXPECT_EQ(judge(bounds(-0.05, 0.01), Direction::kHigherIsBetter, 0.03), Verdict::kInconclusive);
  EXPECT_EQ(judge(bounds(-0.09, -0.04), Direction::kHigherIsBetter, 0.03), Verdict::kFail);
}

TEST(Judge, TurnsRoundWhereLowerIsBetter) {
  EXPECT_EQ(judge(bounds(-0.09, -0.04), Direction::kLowerIsBetter, 0.01), Verdict::kPass);
  EXPECT_EQ(judge(bounds(0.02, 0.04), Direction::kLowerIsBetter, 0.01), Verdict::kFail);
}

TEST(Judge, PassesEqualEvaluationsEvenWithoutMargin) { EXPECT_EQ(judge(bounds(0, 0), Direction::kHigherIsBetter, 0), Verdict::kPass); }

// An ifeval evaluation of n rows of one instruction each, the first `n_followed` of them followed.
void write_ifeval(const fs::path& folder, int n, int n_followed) {
  std::string rows;
  for (int i = 0; i < n; ++i) {
    const Json row = {{"key", i}, {"instruction_id_list", {"punctuation:no_comma"}}, {"strict", {i < n_followed}}, {"loose", {i < n_followed}}};
    rows += row.dump() + "\n";
  }
  make_writable_folder(folder / "ifeval");
  write_file_atomic(folder / "ifeval" / "rows.jsonl", rows);
}

TEST(CompareEvaluations, FailsAClearLossAndPassesAnImprovement) {
  const test::TempFolder folder;
  write_ifeval(folder / "a", 400, 300);
  write_ifeval(folder / "b", 400, 200);
  EXPECT_EQ(compare_evaluations(folder / "a", folder / "b").verdict, Verdict::kFail);
  EXPECT_EQ(compare_evaluations(folder / "b", folder / "a").verdict, Verdict::kPass);
  EXPECT_EQ(compare_evaluations(folder / "a", folder / "b", {{"ifeval.prompt_level_strict_acc", 0.5}}).verdict, Verdict::kPass);
}

TEST(CompareEvaluations, PairsRowsByKeyAndCountsTheRest) {
  const test::TempFolder folder;
  write_ifeval(folder / "a", 50, 20);
  write_ifeval(folder / "b", 40, 30);
  const Comparison c = compare_evaluations(folder / "a", folder / "b");
  EXPECT_EQ(c.n_unpaired.at("ifeval"), 10u);
  EXPECT_EQ(c.metrics[0].n_rows, 40);
  EXPECT_NEAR(c.metrics[0].before, 0.5, 1e-12);
  EXPECT_NEAR(c.metrics[0].after, 0.75, 1e-12);
  EXPECT_EQ(c.metrics[0].n_gained, 10);
  EXPECT_EQ(c.metrics[0].n_lost, 0);
  EXPECT_NEAR(*c.metrics[0].mcnemar_p, 2.0 / 1024, 1e-9);   // ten changes, all one way: 2 / 2^10
}

TEST(CompareEvaluations, SaysWhichSuitesStandOnOneSideOnly) {
  const test::TempFolder folder;
  write_ifeval(folder / "a", 5, 2);
  write_ifeval(folder / "b", 5, 2);
  make_writable_folder(folder / "b" / "safety");
  write_file_atomic(folder / "b" / "safety" / "rows.jsonl", "");
  const Comparison c = compare_evaluations(folder / "a", folder / "b");
  EXPECT_EQ(c.only_after, std::vector<std::string>{"safety"});
  EXPECT_TRUE(c.only_before.empty());
  EXPECT_NE(comparison_table(c).find("safety: only in the second evaluation"), std::string::npos);
}

TEST(CompareEvaluations, NamesWhatIsMissing) {
  const test::TempFolder folder;
  write_ifeval(folder / "a", 5, 2);
  EXPECT_ERROR(compare_evaluations(folder / "a", folder / "nothing"), ErrorKind::kData, "share no evaluated suite");
}

TEST(ReadMargins, TakesTheMarginOfEachMetric) {
  const test::TempFolder folder;
  write_file_atomic(folder / "gates.toml", "[[metric]]\nname = \"ifeval.inst_level_loose_acc\"\nmargin = 0.02\n\n[[metric]]\nname = \"safety.over_refusal_rate\"\nmargin = 0\n");
  EXPECT_EQ(read_margins(folder / "gates.toml"), (Margins{{"ifeval.inst_level_loose_acc", 0.02}, {"safety.over_refusal_rate", 0.0}}));
}

TEST(ReadMargins, RefusesWhatItCannotHonour) {
  const test::TempFolder folder;
  const auto expect = [&](const char* content, const char* what) {
    write_file_atomic(folder / "gates.toml", content);
    EXPECT_ERROR(read_margins(folder / "gates.toml"), ErrorKind::kConfig, what);
    EXPECT_ERROR(read_margins(folder / "gates.toml"), ErrorKind::kConfig, "gates.toml");
  };
  expect("[[metric]]\nname = \"ifeval.speed\"\nmargin = 0.1\n", "\"ifeval.speed\" names no metric");
  expect("[[metric]]\nname = \"speed\"\nmargin = 0.1\n", "\"speed\" names no metric");
  expect("[[metric]]\nmargin = 0.1\n", "names no metric");
  expect("[[metric]]\nname = \"safety.over_refusal_rate\"\n", "no margin");
  expect("[[metric]]\nname = \"safety.over_refusal_rate\"\nmargin = -0.1\n", "margin");
  expect("[[metric]]\nname = \"safety.over_refusal_rate\"\nmargin = nan\n", "margin");
  expect("[[metric]]\nname = \"safety.over_refusal_rate\"\nmargin = 0.1\n[[metric]]\nname = \"safety.over_refusal_rate\"\nmargin = 0.2\n", "twice");
  expect("[[metric]]\nname = \"safety.over_refusal_rate\"\nmargin = 0.1\nmargn = 0.2\n", "margn");
}

TEST(StoredAnswers, ReadsJsonLinesAndCsv) {
  const test::TempFolder folder;
  write_file_atomic(folder / "a.jsonl", "{\"prompt\": \"p\", \"response\": \"r\"}\n\n{\"prompt\": \"q\", \"response\": \"\"}\n");
  write_file_atomic(folder / "a.csv", "id,prompt,completion\n1,p,\"two\nlines, \"\"quoted\"\"\"\n");
  EXPECT_EQ(read_stored_answers(folder / "a.jsonl").answers[1].response, "");
  EXPECT_EQ(read_stored_answers(folder / "a.csv").answers[0].response, "two\nlines, \"quoted\"");
}

TEST(StoredAnswers, RepeatedRowsCountOnceAndContradictionsAreErrors) {
  const test::TempFolder folder;
  write_file_atomic(folder / "same.jsonl", "{\"prompt\": \"p\", \"response\": \"r\"}\n{\"prompt\": \"p\", \"response\": \"r\"}\n");
  write_file_atomic(folder / "other.jsonl", "{\"prompt\": \"p\", \"response\": \"r\"}\n{\"prompt\": \"p\", \"response\": \"s\"}\n");
  EXPECT_EQ(read_stored_answers(folder / "same.jsonl").n_repeated, 1u);
  EXPECT_ERROR(read_stored_answers(folder / "other.jsonl"), ErrorKind::kData, "other.jsonl:2");
}

TEST(StoredAnswers, BadRowsNameTheirLine) {
  const test::TempFolder folder;
  const auto write = [&](const char* content) { write_file_atomic(folder / "x.jsonl", content); };
  write("{\"prompt\": \"p\", \"response\": \"r\"}\n{\"prompt\": \"p\"");
  EXPECT_ERROR(read_stored_answers(folder / "x.jsonl"), ErrorKind::kData, "x.jsonl:2");
  write("{\"prompt\": \"p\"}\n");
  EXPECT_ERROR(read_stored_answers(folder / "x.jsonl"), ErrorKind::kData, "\"response\" is missing");
  write("{\"prompt\": \"p\", \"response\": 3}\n");
  EXPECT_ERROR(read_stored_answers(folder / "x.jsonl"), ErrorKind::kData, "must be a string");
  write("{\"prompt\": \"\xff\", \"response\": \"r\"}\n");
  EXPECT_ERROR(read_stored_answers(folder / "x.jsonl"), ErrorKind::kData, "x.jsonl:1");
  write("\n");
  EXPECT_ERROR(read_stored_answers(folder / "x.jsonl"), ErrorKind::kData, "no answers");
  write_file_atomic(folder / "x.csv", "prompt,response\np,\"\xff\"\n");
  EXPECT_ERROR(read_stored_answers(folder / "x.csv"), ErrorKind::kData, "not valid UTF-8");
  write_file_atomic(folder / "x.csv", "prompt,response\np,\"r\n");
  EXPECT_ERROR(read_stored_answers(folder / "x.csv"), ErrorKind::kData, "never closed");
}

TEST(GradeStored, CountsWhatDoesNotMatchAndRefusesWhenNothingDoes) {
  const auto suite = make_suite("ifeval");
  const Question first = suite->questions()[0];
  StoredAnswers stored{{first.prompt, "another prompt"}, {{"an answer", nullptr}, {"x", nullptr}}, 0};
  const SuiteResult result = grade_stored(*suite, stored, "here");
  EXPECT_EQ(result.rows.size(), 1u);
  EXPECT_EQ(result.n_missing, 540u);
  EXPECT_EQ(result.n_unknown, 1u);
  EXPECT_ERROR(grade_stored(*suite, {{"another prompt"}, {{"x", nullptr}}, 0}, "here"), ErrorKind::kData, "none of the 1 stored prompts");
}

TEST(WriteEvaluation, KeepsTheSuitesThatAreAlreadyInTheSummary) {
  const test::TempFolder folder;
  write_file_atomic(folder / "summary.json", "{\"other\": {\"m\": {\"value\": 1}}}");
  const auto suite = make_suite("ifeval");
  const StoredAnswers stored{{suite->questions()[0].prompt}, {{"no commas here", nullptr}}, 0};
  write_evaluation(folder.path(), *suite, grade_stored(*suite, stored, "here"), Json::object());
  const Json summary = read_json(folder / "summary.json");
  EXPECT_TRUE(summary.contains("other"));
  const Json& metric = summary.at("ifeval").at("inst_level_strict_acc");
  EXPECT_EQ(metric.at("n"), 3);
  EXPECT_TRUE(metric.contains("low") && metric.contains("high") && metric.contains("value"));
  EXPECT_EQ(read_rows(folder.path(), "ifeval").size(), 1u);
}

TEST(WriteEvaluation, LeavesAnEarlierOneWholeWhenTheDiskIsFull) {
  const test::TempFolder folder;
  const auto suite = make_suite("ifeval");
  const auto write = [&](const std::string& response) {
    const StoredAnswers stored{{suite->questions()[0].prompt}, {{response, nullptr}}, 0};
    write_evaluation(folder.path(), *suite, grade_stored(*suite, stored, "here"), Json::object());
  };
  const auto files = [&] {
    std::map<std::string, std::string> content;
    for (const auto& entry : fs::recursive_directory_iterator(folder.path()))
      if (entry.is_regular_file()) content[entry.path().string()] = read_file(entry.path());
    return content;
  };
  write("no commas here");
  const auto before = files();
  ASSERT_EQ(before.size(), 4u);
  for (int last = 0; last < 4; ++last) {
    int n_writes = 0;
    set_disk_hook([&](std::string_view doing, const fs::path& path) {
      if (doing == "writing" && n_writes++ == last) throw_system_error(doing, path, ENOSPC);
    });
    EXPECT_ERROR(write("with, commas"), ErrorKind::kResource, "No space left");
    set_disk_hook({});
    EXPECT_EQ(files(), before) << last;
  }
}

TEST(WithoutReasoning, KeepsWhatFollowsTheBlock) {
  EXPECT_EQ(without_reasoning("<think>a, b</think>\n\nanswer"), "answer");
  EXPECT_EQ(without_reasoning("answer"), "answer");
}

}  // namespace
}  // namespace temper
