// `temper generate` and `temper chat` as they are called, on a tiny model with random weights.

#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>

#include "data/bpe_trainer.h"
#include "data/chat_encoding.h"
#include "support/model_folder.h"
#include "test_places.h"

namespace temper {
namespace {

using test::ModelFolder;

TEST(GenerateCommand, RefusesConversationsThatNobodyAsksToAnswer) {
  const ModelFolder f;
  for (const char* messages : {R"({"messages":[{"role":"system","content":"you tell stories."}]})",
                               R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"system","content":"be short"}]})"}) {
    write_file_atomic(f.folder / "prompts.jsonl", std::string(messages) + "\n");
    const std::vector<std::string> arguments{"generate", "--model", f.model, "--prompts", f.folder / "prompts.jsonl", "--out", f.folder / "out.jsonl", "--max-new-tokens", "2"};
    const test::ProgramResult refused = test::run_program(arguments);
    EXPECT_EQ(refused.exit_code, 3) << refused.output;
    EXPECT_NE(refused.output.find("--allow-system-last"), std::string::npos) << refused.output;
    EXPECT_NE(refused.output.find("prompts.jsonl:1"), std::string::npos) << refused.output;
    EXPECT_EQ(f.generate(messages, {"--allow-system-last"}).size(), 1u);
  }
}

// An effort is in the prompt; with dspark_* keys and no encoding file the release is asked for.
TEST(GenerateCommand, TakesTheEffortOfTheReleaseThatTheFolderNames) {
  const ModelFolder f;
  const std::string row = R"({"messages":[{"role":"user","content":"a"}]})";
  const auto n_prompt = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--thinking-mode", "thinking"});
    return f.generate(row, more).at(0)["n_prompt_tokens"].get<int>();
  };
  const auto output = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{"generate", "--model", f.model, "--prompts", f.folder / "prompts.jsonl", "--out", f.folder / "out.jsonl", "--thinking-mode", "thinking", "--max-new-tokens", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::run_program(arguments);
  };
  const int plain = n_prompt({}), absolute = n_prompt({"--effort", "max"}), beyond = n_prompt({"--effort", "max", "--chat-release", "0731"});
  EXPECT_LT(plain, absolute);
  EXPECT_LT(absolute, beyond);
  EXPECT_EQ(output({"--effort", "low"}).exit_code, 2);
  make_writable_folder(fs::path(f.model) / "encoding");
  write_file_atomic(fs::path(f.model) / "encoding/encoding_dsv4.py", "REASONING_EFFORT_PROMPTS = {\"low\": \"\"}\nDEFAULT_REASONING_EFFORT = \"low\"\n");
  EXPECT_EQ(n_prompt({"--effort", "low"}), plain);
  EXPECT_EQ(n_prompt({"--effort", "high"}), absolute);
  EXPECT_EQ(n_prompt({"--effort", "max"}), beyond);
  const test::ProgramResult none = output({"--effort", "none"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_NE(none.output.find("low, high, max"), std::string::npos) << none.output;
}

TEST(GenerateCommand, WarnsOnceOfTextsBeyondThePositionsOfTheModel) {
  const ModelFolder f;
  Json config = read_json(fs::path(f.model) / "config.json");
  config["max_position_embeddings"] = 6;
  write_file_atomic(fs::path(f.model) / "config.json", config.dump());
  write_file_atomic(f.folder / "prompts.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"once upon a time there was\"}\n{\"prompt\": \"once upon a time there was a\"}\n");
  const test::ProgramResult result = test::run_program({"generate", "--model", f.model, "--prompts", f.folder / "prompts.jsonl", "--out", f.folder / "out.jsonl", "--max-new-tokens", "9"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const size_t first = result.output.find("max_position_embeddings is 6");
  EXPECT_NE(first, std::string::npos) << result.output;
  EXPECT_EQ(result.output.find("max_position_embeddings", first + 1), std::string::npos) << result.output;
}

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
