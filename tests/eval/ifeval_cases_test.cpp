// Difficult texts against the official checker, NLTK and langdetect: files made by tools/oracle/ifeval_cases.py.

#include <gtest/gtest.h>

#include <map>

#include "eval/ifeval/instructions.h"
#include "eval/text/language.h"
#include "eval/text/punkt.h"
#include "support/expect_error.h"
#include "support/json_lines.h"

namespace temper {
namespace {

TEST(Instructions, EveryKindDecidesAsTheOfficialChecker) {
  std::map<std::string, int> n_cases;
  for (const Json& row : test::read_golden_lines("ifeval/cases.jsonl")) {
    const std::string id = row.at("id"), response = row.at("response");
    const Check check = make_check(id, row.at("kwargs"), '\0', "cases.jsonl");
    EXPECT_EQ(follows_strict(check, response), row.at("strict").get<bool>()) << row.dump();
    EXPECT_EQ(follows_loose(check, response), row.at("loose").get<bool>()) << row.dump();
    ++n_cases[id];
  }
  EXPECT_EQ(instruction_ids().size(), 25u);
  for (const std::string& id : instruction_ids()) EXPECT_GE(n_cases[id], 15) << id;
}

TEST(Punkt, SplitsSentencesAsNltk) {
  for (const Json& row : test::read_golden_lines("ifeval/sentences.jsonl")) {
    const std::string passage = row.at("text");
    const std::vector<std::string_view> found = text::punkt_sentences(passage);
    EXPECT_EQ(std::vector<std::string>(found.begin(), found.end()), row.at("sentences").get<std::vector<std::string>>()) << row.at("text").dump();
  }
}

TEST(WordTokenizer, SplitsWordsAsNltk) {
  for (const Json& row : test::read_golden_lines("ifeval/sentences.jsonl"))
    EXPECT_EQ(text::word_tokenize(row.at("text").get<std::string>()), row.at("words").get<std::vector<std::string>>()) << row.at("text").dump();
}

TEST(LanguageDetection, GivesLangdetectsProbabilities) {
  for (const Json& row : test::read_golden_lines("ifeval/languages.jsonl")) {
    const auto found = text::detect_languages(row.at("text").get<std::string>());
    const Json& expected = row.at("languages");
    ASSERT_EQ(found.has_value(), !expected.is_null()) << row.dump();
    if (!found) continue;
    ASSERT_EQ(found->size(), expected.size()) << row.dump();
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ((*found)[i].first, expected[i][0].get<std::string>()) << row.dump();
      // The order of the languages, and so of the sums, is that of a folder listing there.
      EXPECT_NEAR((*found)[i].second, expected[i][1].get<double>(), 1e-9) << row.dump();
    }
  }
}

TEST(Instructions, WrongArgumentsAreErrorsThatNameThem) {
  EXPECT_ERROR(make_check("length_constraints:number_words", {{"num_words", 0}, {"relation", "at least"}}, 'a', "x:1"), ErrorKind::kData, "num_words");
  EXPECT_ERROR(make_check("length_constraints:number_words", {{"num_words", 5}, {"relation", "at most"}}, 'a', "x:1"), ErrorKind::kData, "less than");
  EXPECT_ERROR(make_check("keywords:existence", Json::object(), 'a', "x:1"), ErrorKind::kData, "x:1");
  EXPECT_ERROR(make_check("keywords:rhymes", Json::object(), 'a', "x:1"), ErrorKind::kData, "keywords:rhymes");
}

}  // namespace
}  // namespace temper
