#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
#include "support/fixtures.h"
#include "support/packed.h"
#include "support/run_program.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

using test::run_temper;

TEST(TokenizerCommand, TrainsEncodesDecodesAndMeasures) {
  const test::TempFolder folder;
  const std::string text_path = folder / "text.txt", out = folder / "tok", ids_path = folder / "ids.txt";
  const std::string text = "the cat and the hat and the cats,\n12345 <think> 中文\n";
  write_file_atomic(text_path, text);
  EXPECT_EQ(run_temper("tokenizer train --vocab-size 280 --input " + text_path + " --out " + out).exit_code, 0);
  const auto encoded = run_temper("tokenizer encode --tokenizer " + out + " " + text_path);
  EXPECT_EQ(encoded.exit_code, 0);
  write_file_atomic(ids_path, encoded.out);
  EXPECT_EQ(run_temper("tokenizer decode --tokenizer " + out + " " + ids_path).out, text);
  // "<think>" is one token, as plain text it is several.
  EXPECT_GT(run_temper("tokenizer encode --ordinary --tokenizer " + out + " " + text_path).out.size(), encoded.out.size());
  const Json figures = parse_json(run_temper("bench tokenizer --json --tokenizer " + out + " --input " + text_path).out, "bench");
  EXPECT_EQ(figures["bytes"], text.size());
  EXPECT_EQ(static_cast<size_t>(figures["tokens"]), static_cast<size_t>(std::count(encoded.out.begin(), encoded.out.end(), ' ')) + 1);
  EXPECT_GT(figures["mb_s"], 0.0);
  EXPECT_GT(figures["cpu_mb_s"], 0.0);
}

TEST(TokenizerCommand, ExitCodesSayWhoMustAct) {
  const test::TempFolder folder;
  write_file_atomic(folder / "t.txt", "aa");
  EXPECT_EQ(run_temper("tokenizer").exit_code, 64);
  EXPECT_EQ(run_temper("tokenizer train --input " + (folder / "t.txt").string()).exit_code, 64);
  EXPECT_EQ(run_temper("tokenizer train --vocab-size 9 --input " + (folder / "t.txt").string() + " --out " + (folder / "o").string()).exit_code, 2);
  const auto missing = run_temper("tokenizer encode --tokenizer " + folder.path().string() + " " + (folder / "t.txt").string());
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_NE(missing.out.find("neither tokenizer.json nor vocab.json"), std::string::npos);
}

/// Every command that reads a data file; the place of the model does not matter, the file is read first.
TEST(DataFiles, AParquetFileIsNamedByEachCommandWithTheCommandThatConvertsIt) {
  const test::TempFolder folder;
  const std::string file = (folder / "a.parquet").string();
  write_file_atomic(file, "PAR1....PAR1");
  for (const std::string& command : {"tokenizer train --vocab-size 280 --input " + file + " --out " + (folder / "o").string(), "inspect " + file, "eval --suite ifeval --responses " + file,
                                     "generate --model none --prompts " + file + " --out " + (folder / "p").string()}) {
    const auto result = run_temper(command);
    EXPECT_EQ(result.exit_code, 3) << command << "\n" << result.out;
    EXPECT_NE(result.out.find("this is a Parquet file"), std::string::npos) << command << "\n" << result.out;
    EXPECT_NE(result.out.find("import json,sys,pyarrow.parquet"), std::string::npos) << command << "\n" << result.out;
  }
}

TEST(TokenizerCommand, TrainsOnPackedText) {
  const test::TempFolder folder;
  const std::string text = "the cat and the hat and the cats";
  write_file_atomic(folder / "t.txt", text);
  write_file_atomic(folder / "t.txt.gz", test::gzip(text));
  const auto trained = [&](const std::string& name) {
    EXPECT_EQ(run_temper("tokenizer train --vocab-size 280 --input " + (folder / name).string() + " --out " + (folder / (name + ".tok")).string()).exit_code, 0);
    return read_file(folder / (name + ".tok") / "tokenizer.json");
  };
  EXPECT_EQ(trained("t.txt.gz"), trained("t.txt"));
}

TEST(TokenizerCommand, ExplainsWhichTokensOfAConversationAreTrained) {
  const test::TempFolder folder;
  write_file_atomic(folder / "t.txt", "the cat and the hat and the cats");
  write_file_atomic(folder / "c.json", R"([{"role":"user","content":"the"},{"role":"assistant","content":"cat"}])");
  EXPECT_EQ(run_temper("tokenizer train --vocab-size 280 --input " + (folder / "t.txt").string() + " --out " + (folder / "tok").string()).exit_code, 0);
  const auto explained = run_temper("tokenizer explain --tokenizer " + (folder / "tok").string() + " " + (folder / "c.json").string());
  EXPECT_EQ(explained.exit_code, 0) << explained.out;
  EXPECT_NE(explained.out.find("-      \"<｜User｜>\""), std::string::npos) << explained.out;
  EXPECT_NE(explained.out.find("1      \"<｜end▁of▁sentence｜>\""), std::string::npos) << explained.out;
}

/// Prints of `temper tokenizer explain --json`, one a line.
std::vector<Json> explained(const std::string& arguments) {
  const auto result = run_temper("tokenizer explain --json " + arguments);
  EXPECT_EQ(result.exit_code, 0) << result.out;
  std::vector<Json> lines;
  for (size_t begin = 0; begin < result.out.size();) {
    const size_t end = std::min(result.out.find('\n', begin), result.out.size());
    if (result.out[begin] == '{') lines.push_back(Json::parse(result.out.substr(begin, end - begin)));   // not the log
    begin = end + 1;
  }
  return lines;
}

// Ids of the official encoder and vocabulary (cases B, C and F of the chat vectors).
TEST(TokenizerCommand, ExplainsThePromptOfAConversationThatEndsWithAUser) {
  const test::TempFolder folder;
  make_writable_folder(folder / "tok");
  test::unpack_tokenizer("deepseek_v4", folder / "tok");
  write_file_atomic(folder / "b.json", R"([{"role":"system","content":"S"},
    {"role":"user","content":"hi"}])");
  write_file_atomic(folder / "rows.jsonl", R"({"messages":[{"role":"user","content":"q1"},{"role":"assistant","reasoning_content":"r1","content":"a1"},{"role":"user","content":"q2"}]}
{"messages":[{"role":"user","content":"q1"},{"role":"assistant","reasoning_content":"r1","content":"a1"},{"role":"user","content":"q2"},{"role":"assistant","reasoning_content":"r2","content":"a2"}]}
)");
  const std::string tokenizer = "--thinking-mode thinking --tokenizer " + (folder / "tok").string() + " ";
  const auto b = explained(tokenizer + (folder / "b.json").string());
  ASSERT_EQ(b.size(), 1u);
  EXPECT_EQ(b[0]["kind"], "sent");
  EXPECT_EQ(b[0]["ids"], Json({0, 53, 128803, 6366, 128804, 128821}));
  EXPECT_EQ(b[0]["text"], "<｜begin▁of▁sentence｜>S<｜User｜>hi<｜Assistant｜><think>");
  const auto rows = explained(tokenizer + (folder / "rows.jsonl").string());
  ASSERT_EQ(rows.size(), 4u);   // the first turn trained, then sent; two turns trained
  EXPECT_EQ(rows[0]["kind"], "trained");
  EXPECT_EQ(rows[1]["kind"], "sent");
  EXPECT_EQ(rows[1]["text"], "<｜begin▁of▁sentence｜><｜User｜>q1<｜Assistant｜></think>a1<｜end▁of▁sentence｜><｜User｜>q2<｜Assistant｜><think>");
  EXPECT_EQ(rows[3]["ids"], Json({0, 128803, 83, 19, 128804, 128822, 67, 19, 1, 128803, 83, 20, 128804, 128821, 84, 20, 128822, 67, 20, 1}));
  const auto max = explained("--chat-release 0731 --effort max " + tokenizer + (folder / "b.json").string());
  EXPECT_TRUE(max[0]["text"].get<std::string>().starts_with("<｜begin▁of▁sentence｜>Reasoning Effort: Beyond maximum")) << max[0]["text"];
  const auto refused = run_temper("tokenizer explain --chat-release preview --effort low " + tokenizer + (folder / "b.json").string());
  EXPECT_EQ(refused.exit_code, 2) << refused.out;
  EXPECT_NE(refused.out.find("none, high, max"), std::string::npos) << refused.out;
}

TEST(TokenizerCommand, ExplainsRowsOfEveryShape) {
  const test::TempFolder folder;
  make_writable_folder(folder / "tok");
  test::unpack_tokenizer("deepseek_v4", folder / "tok");
  const std::string answer = "<｜begin▁of▁sentence｜><｜User｜>q<｜Assistant｜></think>a<｜end▁of▁sentence｜>";
  for (const char* rows : {R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})", R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"}])",
                           R"({"instruction":"q","output":"a"})", R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]})", R"({"prompt":"q","completion":"a"})",
                           "[\n {\"instruction\":\"q\",\n \"output\":\"a\"}\n]\n"}) {
    write_file_atomic(folder / "rows", rows);
    const auto lines = explained("--tokenizer " + (folder / "tok").string() + " " + (folder / "rows").string());
    ASSERT_EQ(lines.size(), 1u) << rows;
    EXPECT_EQ(lines[0]["text"], answer) << rows;
  }
  write_file_atomic(folder / "rows", R"({"text":"once"})");
  EXPECT_EQ(explained("--tokenizer " + (folder / "tok").string() + " " + (folder / "rows").string()).at(0)["text"], "<｜begin▁of▁sentence｜>once<｜end▁of▁sentence｜>");
  EXPECT_EQ(explained("--tokenizer " + (folder / "tok").string() + " " + (folder / "rows").string()).at(0)["weights"].at(0), 0.0);   // nothing predicts it
  write_file_atomic(folder / "rows", "{\"prompt\":\"once\"}\n{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}]}\n");
  const auto prompts = explained("--tokenizer " + (folder / "tok").string() + " " + (folder / "rows").string());
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[0]["text"], "<｜begin▁of▁sentence｜>once");
  EXPECT_EQ(prompts[1]["text"], "<｜begin▁of▁sentence｜><｜User｜>q<｜Assistant｜></think>");
  write_file_atomic(folder / "rows", R"([{"role":"system","content":"s"}])");
  const auto system = run_temper("tokenizer explain --tokenizer " + (folder / "tok").string() + " " + (folder / "rows").string());
  EXPECT_EQ(system.exit_code, 0);
  EXPECT_NE(system.out.find("not sent: the conversation ends with a message of role system"), std::string::npos) << system.out;
}

}  // namespace
}  // namespace temper
