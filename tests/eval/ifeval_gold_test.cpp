// All 541 stored GPT-4 responses against the official checker's outcomes (tests/golden/README.md says where they come from).

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace temper
