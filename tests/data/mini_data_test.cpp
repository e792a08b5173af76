// The committed data of examples/mini-v4: what its generators promise, checked without them.

#include <gtest/gtest.h>

#include <set>

#include "data/load_samples.h"
#include "data/text_reader.h"
#include "test_places.h"

namespace temper {
namespace {

const fs::path kFolder = fs::path(TEMPER_SOURCE_DIR) / "examples/mini-v4/data";

std::vector<Json> rows_of(const std::string& name) {
  const bool evaluation = name.ends_with("_eval.jsonl");
  LineReader reader((evaluation ? fs::path(TEMPER_SOURCE_DIR) / "src/eval/data/stories" : kFolder) / name, 1 << 20);
  std::vector<Json> rows;
  for (TextPiece piece; reader.next_filled(piece);) {
    EXPECT_EQ(piece.defect, "") << name;
    rows.push_back(parse_row(piece.text));
  }
  return rows;
}

std::set<std::string> words_of(const std::string& text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (c >= 'a' && c <= 'z') word += c;
    else if (!word.empty()) words.insert(std::exchange(word, ""));
  }
  return words;
}

std::string prompt_of(const Json& row) { return row["messages"][0]["content"].get<std::string>(); }

TEST(MiniData, StoriesAreAsciiLowerCaseAndHeldOutOnesAreOthers) {
  std::set<std::string> train;
  for (const Json& row : rows_of("stories_train.jsonl.gz")) train.insert(row["text"].get<std::string>());
  EXPECT_GT(train.size(), 4000u);
  const auto held_out = rows_of("stories_held_out.jsonl.gz");
  EXPECT_GT(held_out.size(), 200u);
  for (const Json& row : held_out) EXPECT_FALSE(train.contains(row["text"].get<std::string>()));
  for (const std::string& story : train)
    for (const char c : story) ASSERT_TRUE(c == '\n' || (c >= ' ' && c <= '~' && !(c >= 'A' && c <= 'Z'))) << story;
}

TEST(MiniData, EachEvaluationInstructionAsksForAWordThatNoTrainingInstructionHas) {
  std::set<std::string> asked;
  for (const char* name : {"instructions_train.jsonl.gz", "repeat_train.jsonl.gz"})
    for (const Json& row : rows_of(name)) asked.merge(words_of(prompt_of(row)));
  const auto evaluation = rows_of("instructions_eval.jsonl");
  EXPECT_GE(evaluation.size(), 180u);
  for (const Json& row : evaluation) {
    int unseen = 0;
    for (const Json& constraint : row["constraints"]) {
      if (constraint.contains("words"))
        for (const Json& word : constraint["words"]) unseen += !asked.contains(word.get<std::string>());
      if (constraint.contains("text"))
        for (const std::string& word : words_of(constraint["text"].get<std::string>())) unseen += !asked.contains(word);
    }
    EXPECT_GT(unseen, 0) << row.dump();
  }
}

TEST(MiniData, SafetyPromptsOfTrainingAndEvaluationAreDisjoint) {
  std::set<std::string> harmful_of_training, topics_of_training;
  LineReader split(kFolder / "safety_split.tsv", 1 << 20);
  TextPiece piece;
  split.next(piece);
  while (split.next(piece)) {
    if (!piece.text.starts_with("train\t")) continue;
    const size_t tab = piece.text.find('\t', 6);
    (piece.text.substr(6, tab - 6) == "harmful" ? harmful_of_training : topics_of_training).insert(piece.text.substr(tab + 1));
  }
  EXPECT_GT(harmful_of_training.size(), 100u);
  int harmful = 0, look_alike = 0;
  for (const Json& row : rows_of("safety_eval.jsonl")) {
    const std::string prompt = row["prompt"].get<std::string>();
    ++(row["kind"] == "harmful" ? harmful : look_alike);
    EXPECT_FALSE(harmful_of_training.contains(prompt)) << prompt;
    if (row["kind"] != "look_alike") continue;
    for (const std::string& topic : topics_of_training) EXPECT_FALSE(prompt.ends_with(" " + topic)) << prompt;
  }
  EXPECT_GE(harmful, 100);
  EXPECT_GE(look_alike, 150);
}

TEST(MiniData, TrainingRowsPassTheLoaderAndNoHarmfulRequestIsAnswered) {
  DataConfig config;
  config.sequence_length = 4096;
  config.sources.resize(2);
  config.sources[0].path = "instructions_train.jsonl.gz";
  config.sources[1].path = "safety_train.jsonl.gz";
  const SampleEncoder encode = [](const TrainingRow& row) -> std::vector<EncodedSample> {
    EncodedSample sample;
    for (const Json& message : row.messages)
      for (const char c : message["content"].get<std::string>()) {
        sample.ids.push_back(c);
        sample.weights.push_back(message["role"] == "assistant");
      }
    return {sample};
  };
  const LoadedData data = load_samples(config, kFolder, encode, 2);   // on_bad_row = "stop": a bad row would throw
  EXPECT_GT(data.train->size(), 8000);

  std::set<std::string> harmful;
  LineReader split(kFolder / "safety_split.tsv", 1 << 20);
  for (TextPiece piece; split.next(piece);)
    if (const size_t at = piece.text.find("\tharmful\t"); at != std::string::npos) harmful.insert(piece.text.substr(at + 9));
  int refused = 0;
  for (const Json& row : rows_of("safety_train.jsonl.gz")) {
    const std::string answer = row["messages"][1]["content"].get<std::string>();
    const bool is_harmful = std::any_of(harmful.begin(), harmful.end(), [&](const std::string& goal) { return prompt_of(row).find(goal) != std::string::npos; });
    EXPECT_EQ(answer.starts_with("i'm sorry"), is_harmful) << row.dump();
    refused += is_harmful;
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace temper
