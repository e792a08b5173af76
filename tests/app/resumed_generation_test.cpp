// `temper generate` and `temper eval` that are stopped and called again, and settings in rows.

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "support/model_folder.h"

namespace temper {
namespace {

using test::ModelFolder;
using test::ProgramResult;

size_t n_lines(const fs::path& path) {
  if (!fs::exists(path)) return 0;
  const std::string text = read_file(path);
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Runs until the journal holds `n` lines, then sends the signal.
ProgramResult stop_at(const std::vector<std::string>& command, const fs::path& journal, size_t n, int signal) {
  test::RunningProgram program(command);
  while (program.running() && n_lines(journal) < n) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  program.signal(signal);
  return program.wait();
}

std::string many_prompts(int n) {
  std::string rows;
  for (int i = 0; i < n; ++i) rows += Json{{"prompt", "once upon a time " + std::to_string(i)}}.dump() + "\n";
  return rows;
}

std::vector<std::string> generation(const ModelFolder& f, const std::string& out) {
  return {"generate", "--model", f.model, "--prompts", f.folder / "prompts.jsonl", "--out", f.folder / out, "--max-new-tokens", "200", "--batch", "1", "--temperature", "1", "--seed", "5"};
}

TEST(StoppedGeneration, GoesOnBehindWhatCtrlCAndAKillLeft) {
  const ModelFolder f;
  write_file_atomic(f.folder / "prompts.jsonl", many_prompts(40));
  ASSERT_EQ(test::run_program(generation(f, "whole")).exit_code, 0);
  EXPECT_FALSE(fs::exists(f.folder / "whole.unfinished.jsonl"));

  const fs::path journal = f.folder / "out.unfinished.jsonl";
  const ProgramResult stopped = stop_at(generation(f, "out"), journal, 6, SIGINT);
  EXPECT_EQ(stopped.exit_code, 130) << stopped.output;
  EXPECT_FALSE(fs::exists(f.folder / "out"));
  const size_t kept = n_lines(journal);
  ASSERT_GE(kept, 6u);
  const ProgramResult killed = stop_at(generation(f, "out"), journal, kept + 4, SIGKILL);
  EXPECT_EQ(killed.exit_code, -1);
  EXPECT_GE(n_lines(journal), kept + 4);
  write_file_atomic(journal, read_file(journal) + "{\"number\": 39, \"te");   // a kill in the middle of a line
  const ProgramResult resumed = test::run_program(generation(f, "out"));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_NE(resumed.output.find("goes on behind"), std::string::npos) << resumed.output;
  EXPECT_EQ(read_file(f.folder / "out"), read_file(f.folder / "whole"));
  EXPECT_FALSE(fs::exists(journal));
}

TEST(StoppedGeneration, IsNotMixedWithAnswersToOtherRequests) {
  const ModelFolder f;
  write_file_atomic(f.folder / "prompts.jsonl", many_prompts(40));
  const fs::path journal = f.folder / "out.unfinished.jsonl";
  stop_at(generation(f, "out"), journal, 4, SIGINT);
  const std::string kept = read_file(journal);
  auto other_seed = generation(f, "out");
  other_seed.back() = "6";
  const ProgramResult refused = test::run_program(other_seed);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.output.find("these have changed: prompts or settings"), std::string::npos) << refused.output;
  EXPECT_EQ(read_file(journal), kept);
  write_file_atomic(f.folder / "prompts.jsonl", many_prompts(2));
  EXPECT_EQ(test::run_program(generation(f, "out")).exit_code, 2);
  auto anew = generation(f, "out");
  anew.push_back("--overwrite");
  EXPECT_EQ(test::run_program(anew).exit_code, 0);
  EXPECT_EQ(n_lines(f.folder / "out"), 2u);
  EXPECT_FALSE(fs::exists(journal));
}

TEST(StoppedGeneration, LeavesAFileOfAnotherWithTheNameOfItsJournalAlone) {
  const ModelFolder f;
  write_file_atomic(f.folder / "prompts.jsonl", many_prompts(1));
  const fs::path journal = f.folder / "out.unfinished.jsonl";
  for (const std::string content : {"my notes", "{\"a\": 1}\n"}) {
    write_file_atomic(journal, content);
    for (const bool overwrite : {false, true}) {
      auto command = generation(f, "out");
      if (overwrite) command.push_back("--overwrite");
      EXPECT_EQ(test::run_program(command).exit_code, 2);
      EXPECT_EQ(read_file(journal), content);
    }
  }
}

TEST(StoppedEvaluation, KeepsFinishedAnswers) {
  const ModelFolder f;
  const std::vector<std::string> command{"eval", "--model", f.model, "--suite", "safety", "--prompts", "plain", "--max-new-tokens", "40", "--max-batch", "1", "--out", f.folder / "e"};
  const fs::path journal = f.folder / "e" / "safety" / "unfinished.jsonl";
  const ProgramResult stopped = stop_at(command, journal, 10, SIGINT);
  EXPECT_EQ(stopped.exit_code, 130) << stopped.output;
  EXPECT_FALSE(fs::exists(f.folder / "e" / "summary.json"));
  EXPECT_GE(n_lines(journal), 10u);
  const ProgramResult resumed = test::run_program(command);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_NE(resumed.output.find("goes on behind"), std::string::npos) << resumed.output;
  EXPECT_TRUE(fs::exists(f.folder / "e" / "summary.json"));
  EXPECT_FALSE(fs::exists(journal));
}

TEST(RowSettings, AreFollowedAsTheOptionsOfTheCommandAre) {
  const ModelFolder f;
  const std::string plain = "{\"prompt\": \"once upon\"}\n";
  const std::vector<Json> by_option = f.generate(plain, {"--temperature", "1.5", "--top-p", "0.9", "--top-k", "7", "--seed", "11", "--max-new-tokens", "5"});
  const std::vector<Json> by_row = f.generate(R"({"prompt": "once upon", "temperature": 1.5, "top_p": 0.9, "top_k": 7, "seed": 11, "max_tokens": 5})" "\n");
  EXPECT_EQ(by_row[0]["response"], by_option[0]["response"]);
  EXPECT_EQ(by_row[0]["n_tokens"], by_option[0]["n_tokens"]);
  EXPECT_NE(by_row[0]["response"], f.generate(plain, {"--max-new-tokens", "5"})[0]["response"]);
  const std::string whole = f.generate(plain)[0]["response"];
  ASSERT_GT(whole.size(), 2u);
  const std::string stop = whole.substr(whole.size() / 2, 1);
  for (const Json& value : {Json(stop), Json::array({"never to be seen", stop})})
    EXPECT_EQ(f.generate(Json{{"prompt", "once upon"}, {"stop", value}}.dump() + "\n")[0]["response"], whole.substr(0, whole.find(stop)));
  for (const char* key : {"max_new_tokens", "max_completion_tokens"}) EXPECT_EQ(f.generate(Json{{"prompt", "once upon"}, {key, 2}}.dump() + "\n")[0]["n_tokens"], 2);
  EXPECT_EQ(f.generate("{\"prompt\": \"once upon\", \"max_tokens\": null, \"n\": 1, \"presence_penalty\": 0.0, \"stream\": false, \"model\": \"x\"}\n")[0]["response"], whole);
}

TEST(RowSettings, ThatCannotBeFollowedAreErrorsOfTheirRow) {
  const ModelFolder f;
  const char* const bad[] = {"\"temperature\": -1",      "\"temperature\": \"hot\"", "\"temperature\": 1e999",    "\"top_p\": 0",           "\"top_p\": 1.5",      "\"top_k\": -1",
                             "\"top_k\": 1.5",           "\"max_tokens\": 0",        "\"max_tokens\": 1e30",      "\"max_tokens\": \"5\"",  "\"seed\": -1",        "\"seed\": 1.5",
                             "\"stop\": 5",              "\"stop\": [\"\"]",         "\"stop\": [1]",             "\"max_tokens\": 3, \"max_new_tokens\": 4",      "\"n\": 2",
                             "\"presence_penalty\": 1",  "\"logprobs\": true",       "\"response_format\": {\"type\": \"json_object\"}",               "\"temprature\": 1", "\"maxTokens\": 3",
                             "\"top-p\": 0.5",           "\"temperatur\": 1",        "\"max_token\": 3"};
  for (const char* setting : bad) {
    write_file_atomic(f.folder / "bad.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"b\", " + std::string(setting) + "}\n");
    const ProgramResult done = test::run_program({"generate", "--model", f.model, "--prompts", f.folder / "bad.jsonl", "--out", f.folder / "bad.out"});
    EXPECT_EQ(done.exit_code, 3) << setting << done.output;
    EXPECT_NE(done.output.find("bad.jsonl:2"), std::string::npos) << setting << done.output;
    EXPECT_FALSE(fs::exists(f.folder / "bad.out"));
  }
}

}  // namespace
}  // namespace temper
