// `temper generate` and `temper chat` as they are called, on a tiny model with random weights.

#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>

#include "data/bpe_trainer.h"
#include "data/chat_encoding.h"
#include "model/deepseek_v4/init.h"
#include "support/tiny_model.h"
#include "support/tiny_run.h"
#include "test_places.h"

namespace temper {
namespace {

struct ModelFolder {
  test::TempFolder folder;
  std::string model = folder / "model";

  ModelFolder() {
    test::write_tiny_run(folder.path());
    ModelConfig config = test::tiny_run_config();
    config.quantized = false;
    config.expert_dtype = ExpertDtype::kBf16;
    ModelWeights weights(config, {});
    initialise(weights, {.seed = 3, .std = 0.2});
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const Parameter& parameter : weights.parameters()) tensors.emplace_back(parameter.row.name, parameter.master.contiguous());
    test::write_model_folder(model, config, tensors);
    for (const auto& entry : fs::directory_iterator(folder / "tokenizer")) fs::copy_file(entry.path(), fs::path(model) / entry.path().filename());
  }

  std::vector<Json> generate(const std::string& prompts, std::vector<std::string> more = {}) const {
    write_file_atomic(folder / "prompts.jsonl", prompts);
    std::vector<std::string> arguments{"generate", "--model", model, "--prompts", folder / "prompts.jsonl", "--out", folder / "out.jsonl", "--max-new-tokens", "9"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const test::ProgramResult done = test::run_program(arguments);
    EXPECT_EQ(done.exit_code, 0) << done.output;
    std::vector<Json> rows;
    std::istringstream lines(read_file(folder / "out.jsonl"));
    for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line));
    return rows;
  }
};

TEST(GenerateCommand, AnswersEveryRowAndKeepsItsKeys) {
  const ModelFolder f;
  const std::vector<Json> rows = f.generate("{\"prompt\": \"once upon\", \"key\": 7}\n\n{\"prompt\": \"a\"}\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["key"], 7);
  EXPECT_EQ(rows[0]["prompt"], "once upon");
  for (const Json& row : rows) {
    EXPECT_TRUE(row["response"].is_string());
    EXPECT_LE(row["n_tokens"].get<int>(), 9);
    EXPECT_TRUE(row["finish_reason"] == "length" || row["finish_reason"] == "stop");
  }
}

TEST(GenerateCommand, AnswersConversationsInTheChatFormat) {
  const ModelFolder f;
  const std::string user = R"({"role": "user", "content": "tell 1"})";
  const std::vector<Json> rows = f.generate("{\"messages\": [" + user + "]}\n{\"messages\": [{\"role\": \"system\", \"content\": \"be brief\"}, " + user + "]}\n");
  ASSERT_EQ(rows.size(), 2u);
  const Tokenizer tokenizer = Tokenizer::load(f.model);
  EXPECT_EQ(rows[0]["n_prompt_tokens"], encode_prompt(tokenizer, Conversation::from_json(rows[0], "test"), {}).size());
  EXPECT_GT(rows[1]["n_prompt_tokens"].get<int>(), rows[0]["n_prompt_tokens"].get<int>());
}

TEST(GenerateCommand, IsRepeatableAndFollowsTheSeed) {
  const ModelFolder f;
  const std::string prompts = "{\"prompt\": \"once upon\"}\n{\"prompt\": \"a time there\"}\n";
  const auto answers = [&](const std::string& seed, const std::string& batch) { return f.generate(prompts, {"--temperature", "1", "--seed", seed, "--batch", batch}); };
  EXPECT_EQ(answers("1", "8"), answers("1", "1"));
  EXPECT_NE(answers("1", "8"), answers("2", "8"));
}

TEST(GenerateCommand, ATokenizerOfAnotherModelIsAnErrorThatNamesIt) {
  const ModelFolder f;
  BpeTrainer trainer;
  trainer.add(read_file(f.folder / "stories.txt"));
  write_tokenizer(trainer.train(300), f.folder / "larger");
  write_file_atomic(f.folder / "prompts.jsonl", "{\"prompt\": \"once\"}\n");
  const test::ProgramResult result = test::run_program({"generate", "--model", f.model, "--tokenizer", f.folder / "larger", "--prompts", f.folder / "prompts.jsonl", "--out", f.folder / "out.jsonl"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_NE(result.output.find("the tokenizer has ids up to 299, the model has rows for 288 tokens\n  where: " + (f.folder / "larger").string()), std::string::npos) << result.output;
  EXPECT_FALSE(fs::exists(f.folder / "out.jsonl"));
}

TEST(GenerateCommand, RefusesRowsItCannotRead) {
  const ModelFolder f;
  for (const char* row : {"{\"promt\": \"x\"}", "[1]", "{\"prompt\": 1}", "{\"prompt\": \"x\", \"messages\": []}", "{\"messages\": [{\"role\": \"nobody\", \"content\": \"x\"}]}", "{\"prompt\": \"\xff\"}", ""}) {
    write_file_atomic(f.folder / "bad.jsonl", row);
    const test::ProgramResult done = test::run_program({"generate", "--model", f.model, "--prompts", f.folder / "bad.jsonl", "--out", f.folder / "bad.out"});
    EXPECT_EQ(done.exit_code, static_cast<int>(ErrorKind::kData)) << done.output;
    EXPECT_NE(done.output.find("bad.jsonl"), std::string::npos) << done.output;
    EXPECT_FALSE(fs::exists(f.folder / "bad.out"));
  }
}

TEST(ChatCommand, KeepsTheConversationUntilReset) {
  const ModelFolder f;
  const auto chat = [&](const std::string& typed) {
    const std::string command = "printf '" + typed + "' | '" TEMPER_BINARY "' chat --temperature 0 --max-new-tokens 5 --model '" + f.model + "' 2>/dev/null";
    FILE* pipe = popen(command.c_str(), "r");
    std::string out;
    for (int c; (c = fgetc(pipe)) != EOF;) out += static_cast<char>(c);
    EXPECT_EQ(pclose(pipe), 0);
    return out;
  };
  const std::string once = chat("tell 1\\n");
  EXPECT_EQ(chat("tell 1\\n/reset\\ntell 1\\n/quit\\n"), once + once);
  EXPECT_EQ(chat("/system be brief\\n/system\\ntell 1\\n"), once);
}

TEST(ChatCommand, ContinuesWhatIsTypedInPlainMode) {
  const ModelFolder f;
  const std::string command = "printf 'once upon\\n/help\\nonce upon\\n/quit\\nnever read\\n' | '" TEMPER_BINARY "' chat --plain --temperature 0 --max-new-tokens 5 --model '" + f.model + "' 2>/dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  std::string out;
  for (int c; (c = fgetc(pipe)) != EOF;) out += static_cast<char>(c);
  EXPECT_EQ(pclose(pipe), 0);
  ASSERT_EQ(out.size() % 2, 0u);
  EXPECT_EQ(out.substr(0, out.size() / 2), out.substr(out.size() / 2));   // greedy: the same twice
  EXPECT_EQ(out.back(), '\n');
}

}  // namespace
}  // namespace temper
