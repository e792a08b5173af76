// All 541 stored GPT-4 responses against the official checker's outcomes (tests/golden/README.md says where they come from).

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <functional>
#include <map>

#include "eval/ifeval/ifeval.h"
#include "support/json_lines.h"

namespace temper {
namespace {

TEST(IfEval, AgreesWithTheOfficialCheckerOnAll541StoredAnswers) {
  std::map<std::string, std::string> responses;
  for (const Json& row : test::read_golden_lines("ifeval/responses_gpt4.jsonl")) responses[row.at("prompt")] = row.at("response");
  const std::vector<Json> gold = test::read_golden_lines("ifeval/gold_gpt4.jsonl");
  const auto suite = make_ifeval();
  const std::vector<Question> questions = suite->questions();
  ASSERT_EQ(questions.size(), 541u);
  ASSERT_EQ(gold.size(), 541u);
  for (size_t i = 0; i < gold.size(); ++i) {
    const Json row = suite->grade(i, {responses.at(questions[i].prompt), nullptr});
    EXPECT_EQ(row.dump(), gold[i].dump());
  }
}

// What Python says: random.seed(0); [random.choice(string.ascii_letters).lower() for _ in range(4)] == ['y', 'w', 'a', 'c'], and rows draw strict, then
// loose.  The prompts ask for at least 4 and 6 of the letter.
TEST(IfEval, DrawsLettersRowByRowAsTheHarnessDoes) {
  const auto suite = make_ifeval();
  const std::vector<Question> questions = suite->questions();
  const auto counts = [&](int key, size_t instruction, char letter) {
    const auto found = std::find_if(questions.begin(), questions.end(), [&](const Question& q) { return q.key == key; });
    const Json row = suite->grade(static_cast<size_t>(found - questions.begin()), {std::string(6, letter), nullptr});
    return std::pair(row.at("strict")[instruction].get<bool>(), row.at("loose")[instruction].get<bool>());
  };
  EXPECT_EQ(counts(1122, 1, 'y'), std::pair(true, false));
  EXPECT_EQ(counts(1122, 1, 'w'), std::pair(false, true));
  EXPECT_EQ(counts(1129, 0, 'a'), std::pair(true, false));
  EXPECT_EQ(counts(1129, 0, 'c'), std::pair(false, true));
}

// CPU seconds of a call, the best of some.
double seconds_of(int n_tries, const std::function<void()>& call) {
  double best = 1e9;
  for (int i = 0; i < n_tries; ++i) {
    const std::clock_t start = std::clock();
    call();
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return best;
}

std::string filled(const std::string& before, const std::string& unit, const std::string& after, size_t n_bytes) {
  std::string text = before;
  while (text.size() < n_bytes) text += unit;
  return text + after;
}

// 16 times the length: linear work takes 16 times as long, quadratic work 256 times.  The bound between them leaves room for a busy machine.
TEST(IfEval, GradesDegenerateAnswersInLinearTime) {
  constexpr size_t kShort = 4'000, kLong = 16 * kShort;
  constexpr double kMostGrowth = 64, kLeastSeconds = 5e-4;
  const auto suite = make_ifeval();
  const std::vector<Question> questions = suite->questions();
  std::map<std::string, size_t> of_kind;   // one question for each kind of instruction
  for (size_t i = 0; i < questions.size(); ++i) {
    const Json row = suite->grade(i, {"x", nullptr});
    for (const Json& id : row.at("instruction_id_list")) of_kind.emplace(id.get<std::string>(), i);
  }
  ASSERT_EQ(of_kind.size(), 25u);
  const std::vector<std::array<std::string, 3>> texts{
      {"", "a", ""}, {"", " ", ""}, {"", "\n", ""}, {"", "\n", " **"}, {"", "[", ""}, {"]", "[", ""}, {"", "\"", ""}, {"", ",", ""}, {"", "中", ""},
      {"", " ", "p.x"}, {"a.", " ", "x"}, {">>\n", "<", "x"}, {"", "*", ""}, {"", ". ", ""}, {"", "!", ""}, {"", "1. ", ""}};
  suite->grade(of_kind.at("language:response_language"), {"loads the tables", nullptr});
  for (const auto& [before, unit, after] : texts) {
    const std::string few = filled(before, unit, after, kShort), many = filled(before, unit, after, kLong);
    for (const auto& [id, i] : of_kind) {
      const double small = seconds_of(3, [&] { suite->grade(i, {few, nullptr}); });
      const double large = seconds_of(1, [&] { suite->grade(i, {many, nullptr}); });
      EXPECT_LT(large, kMostGrowth * std::max(small, kLeastSeconds)) << id << " on " << before << unit << "..." << after << ", " << small << " s";
    }
  }
}

}  // namespace
}  // namespace temper
