#include "data/bpe_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/chat_tokens.h"
#include "data/tokenizer.h"
#include "support/expect_error.h"
#include "support/fixtures.h"
#include "support/interrupt_request.h"

namespace temper {
namespace {

// The same text and size through Hugging Face's BpeTrainer (tools/oracle/bpe_trainer_vectors.py).
TEST(BpeTrainer, FindsTheSameTokensAsHuggingFaceInTheSameOrder) {
  BpeTrainer trainer;
  trainer.add(test::read_fixture("tokenizers/deepseek_v4/gold_vectors_gsm8k_even.jsonl.zst"));
  const TrainedBpe trained = trainer.train(1024);
  std::vector<std::string> expected;
  for (const Json& token : test::read_fixture_lines("bpe_trainer_tokens.txt.zst")) expected.push_back(token.get<std::string>());
  const std::vector<std::string> found(trained.tokens.begin() + 3 + 256, trained.tokens.end());
  EXPECT_EQ(found.size(), 1024u - 3 - 256 - 12);
  EXPECT_EQ(found, expected);
}

TEST(BpeTrainer, StopsAtCtrlC) {
  BpeTrainer trainer;
  trainer.add("the cat and the hat, the cats and the hats; the end of the cat.\n");
  const test::InterruptRequest request;
  EXPECT_THROW(trainer.train(280), Interrupted);
}

TEST(BpeTrainer, WritesATokenizerWithTheChatTokensAtFixedIds) {
  const test::TempFolder folder;
  BpeTrainer trainer;
  trainer.add("the cat and the hat, the cats and the hats; the end of the cat.\n");
  write_tokenizer(trainer.train(280), folder.path());
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer.vocab_size(), 280);
  EXPECT_EQ(tokenizer.bos_id(), 0);
  EXPECT_EQ(tokenizer.eos_id(), 1);
  EXPECT_EQ(tokenizer.pad_id(), 1);
  EXPECT_EQ(tokenizer.id_of("!"), 3);
  EXPECT_EQ(tokenizer.id_of(chat::kUser), 268);
  EXPECT_EQ(tokenizer.id_of(chat::kReadUrl), 279);
  EXPECT_EQ(tokenizer.encode("<｜Assistant｜><think>"), (std::vector<int32_t>{269, 270}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("<｜User｜>ünknown 字\xFF")), "<｜User｜>ünknown 字\xFF");
}

TEST(BpeTrainer, DoesNotDependOnTheOrderOfTheTexts) {
  std::vector<std::string> texts = {"one two three two one", "four one four two", "three three one 12345 中文中文"};
  BpeTrainer forward, backward;
  for (const std::string& text : texts) forward.add(text);
  std::reverse(texts.begin(), texts.end());
  for (const std::string& text : texts) backward.add(text);
  EXPECT_EQ(forward.train(285).tokenizer_json(), backward.train(285).tokenizer_json());
}

TEST(BpeTrainer, AnImpossibleSizeIsAnError) {
  BpeTrainer trainer;
  trainer.add("aa");
  EXPECT_ERROR(trainer.train(100), ErrorKind::kConfig, "below the 271 fixed tokens");
  EXPECT_ERROR(trainer.train(300), ErrorKind::kData, "pairs for 272 tokens only");
}

}  // namespace
}  // namespace temper
