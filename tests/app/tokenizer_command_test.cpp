#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
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

}  // namespace
}  // namespace temper
