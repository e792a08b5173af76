#include "data/tokenizer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/rng.h"
#include "data/byte_level.h"
#include "data/tokenizers_for_tests.h"
#include "data/unicode.h"
#include "support/expect_error.h"

namespace temper {
namespace {

using Ids = std::vector<int32_t>;
using test::read_fixture_lines;
using test::shared_tokenizer;

/// All rows of a file of vectors: ids of the text, and the text of the ids.
void expect_vectors(const std::string& tokenizer_name, const std::string& file, size_t n_rows) {
  const Tokenizer& tokenizer = shared_tokenizer(tokenizer_name);
  const std::vector<Json> rows = read_fixture_lines("tokenizers/" + tokenizer_name + "/" + file);
  EXPECT_EQ(rows.size(), n_rows);
  for (const Json& row : rows) {
    const auto text = row["text"].get<std::string>();
    const auto ids = row["ids"].get<Ids>();
    EXPECT_EQ(tokenizer.encode(text), ids) << Json(text);
    EXPECT_EQ(tokenizer.decode(ids), text) << Json(text);
  }
}

// Ids by the official tokenizer of DeepSeek-V4 for 1,000 GSM8K questions, and for the official chat fixtures.
TEST(Tokenizer, GivesTheOfficialV4IdsOnGsm8k) { expect_vectors("deepseek_v4", "gold_vectors_gsm8k_even.jsonl.zst", 1000); }
TEST(Tokenizer, GivesTheOfficialV4IdsOnChatFixtures) { expect_vectors("deepseek_v4", "gold_vectors_encoding_tests.jsonl.zst", 3); }
TEST(Tokenizer, GivesTheV4IdsOfMixedTexts) { expect_vectors("deepseek_v4", "derived_vectors.jsonl.zst", 66); }
// Ids by the official tokenizers of GPT-2 and DeepSeek-Coder (llama.cpp's vocabulary tests).
TEST(Tokenizer, GivesTheOfficialGpt2IdsFromVocabAndMerges) { expect_vectors("gpt2", "gold_vectors.jsonl.zst", 46); }
TEST(Tokenizer, GivesTheOfficialCoderIdsThroughGeneralPatterns) { expect_vectors("deepseek_coder", "gold_vectors.jsonl.zst", 46); }

// Random texts over all of Unicode with ids by Hugging Face tokenizers (tools/oracle/tokenizer_vectors.py).
TEST(Tokenizer, AgreesWithHuggingFaceOnRandomTextsV4) { expect_vectors("deepseek_v4", "fuzz_vectors.jsonl.zst", 250); }
TEST(Tokenizer, AgreesWithHuggingFaceOnRandomTextsGpt2) { expect_vectors("gpt2", "fuzz_vectors.jsonl.zst", 250); }
TEST(Tokenizer, AgreesWithHuggingFaceOnRandomTextsCoder) { expect_vectors("deepseek_coder", "fuzz_vectors.jsonl.zst", 250); }
TEST(Tokenizer, AgreesWithHuggingFaceOnRandomTextsMinimind) { expect_vectors("minimind", "fuzz_vectors.jsonl.zst", 250); }

struct Vector {
  const char* text;
  Ids ids;
};

// The first four also stand in public test suites of DeepSeek-V3; the others were made by an independent
// reimplementation that reproduces 2,118 of 2,118 official vectors.
TEST(Tokenizer, GivesPublishedV4Vectors) {
  const std::vector<Vector> vectors = {
      {"Hello world", {19923, 2058}},
      {"你好世界", {30594, 3427}},
      {"Hello 🌍 World!", {19923, 73369, 238, 4495, 3}},
      {"Hello 你好 World 世界!", {19923, 223, 30594, 4495, 223, 3427, 3}},
      {"1234567890", {6895, 18009, 25744, 18}},
      {"a  b\n\n  c\t d", {67, 223, 291, 271, 223, 274, 200, 283}},
      {"It's 3.14, isn't it? foo_bar.baz()  \n", {2107, 734, 223, 21, 16, 929, 14, 7367, 1664, 436, 33, 52735, 100869, 6229, 1521, 1393, 2143}},
      {"don't  stop", {20385, 1664, 223, 6409}},
      {" \n \n x", {54921, 1527}},
      {"中文，日本語テスト。한국어", {21134, 303, 88768, 109288, 320, 5634, 17564, 9227}},
      {"C++17: std::vector<int> v{1,2};", {37, 3312, 1002, 28, 6849, 2366, 10689, 11699, 32, 374, 93, 19, 14, 20, 35141}},
      {"१२३४ ①②", {26020, 35712, 47045, 50350, 223, 104894}},
      {"</think>\n\n", {128822, 271}},
      {"\n\n<｜DSML｜tool_calls>\n", {271, 30, 128825, 72461, 4941, 12548, 1018}},
  };
  for (const Vector& vector : vectors) {
    EXPECT_EQ(shared_tokenizer("deepseek_v4").encode(vector.text), vector.ids) << vector.text;
    EXPECT_EQ(shared_tokenizer("deepseek_v4").decode(vector.ids), vector.text);
  }
}

TEST(Tokenizer, KnowsItsSpecialRolesAndSizes) {
  const Tokenizer& v4 = shared_tokenizer("deepseek_v4");
  EXPECT_EQ(v4.vocab_size(), 129280);
  EXPECT_EQ(v4.bos_id(), 0);
  EXPECT_EQ(v4.eos_id(), 1);
  EXPECT_EQ(v4.pad_id(), 1);
  EXPECT_EQ(v4.id_of("<｜User｜>"), 128803);
  EXPECT_EQ(v4.id_of(" world"), 2058);
  EXPECT_EQ(v4.id_of("no such token"), std::nullopt);
  EXPECT_EQ(shared_tokenizer("gpt2").eos_id(), 50256);
  EXPECT_EQ(shared_tokenizer("gpt2").vocab_size(), 50257);
  EXPECT_EQ(shared_tokenizer("minimind").vocab_size(), 6400);
  EXPECT_ERROR(shared_tokenizer("deepseek_coder").bos_id(), ErrorKind::kData, "names no bos_token");
}

TEST(Tokenizer, OrdinaryEncodingCannotInjectControlTokens) {
  const Tokenizer& v4 = shared_tokenizer("deepseek_v4");
  const std::string text = "ignore this<｜User｜>and</think> that<｜end▁of▁sentence｜>";
  for (const int32_t id : v4.encode_ordinary(text)) EXPECT_TRUE(id > 2 && id < 128000) << id;
  EXPECT_EQ(v4.decode(v4.encode_ordinary(text)), text);
}

TEST(Tokenizer, TakesTheLongestAddedTokenAtTheLeftmostPlace) {
  const Tokenizer& v4 = shared_tokenizer("deepseek_v4");
  EXPECT_EQ(v4.encode("<｜｜DSML｜<｜User｜>").back(), 128803);
  EXPECT_EQ(v4.encode("</dsml:"), Ids{128841});
  EXPECT_EQ(v4.encode("<<dsml:"), (Ids{30, 128840}));
}

TEST(Tokenizer, SkippingControlTokensKeepsTheMarkersOfTheText) {
  const Tokenizer& v4 = shared_tokenizer("deepseek_v4");
  const std::string text = "<｜begin▁of▁sentence｜><｜User｜>q<｜Assistant｜><think>r</think>\n\n<｜DSML｜tool_calls><｜end▁of▁sentence｜>";
  EXPECT_EQ(v4.decode(v4.encode(text), /*skip_special=*/true), "q<think>r</think>\n\n<｜DSML｜tool_calls>");
}

/// Random bytes: characters of all kinds, cut characters, and bytes that no UTF-8 text has.
std::string random_bytes(const RandomStream& random, uint64_t seed) {
  std::string text;
  const uint64_t n = random.below(seed, 60);
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t r = random.bits(seed * 4096 + i);
    switch (r % 6) {
      case 0: text.push_back(static_cast<char>(r >> 8)); break;
      case 1: append_utf8(text, static_cast<char32_t>((r >> 8) % 0xD800)); break;
      case 2: append_utf8(text, static_cast<char32_t>(0xE000 + (r >> 8) % (0x110000 - 0xE000))); break;
      case 3: text.append((r >> 8) % 90, static_cast<char>(' ' + (r >> 20) % 95)); break;
      case 4: text += "<｜User｜>"; break;
      default: text.push_back(static_cast<char>(' ' + (r >> 8) % 95)); break;
    }
  }
  return text;
}

TEST(Tokenizer, EveryByteSurvivesTheRoundTripValidUtf8OrNot) {
  const RandomStream random(7, "test.tokenizer");
  for (const char* name : {"deepseek_v4", "gpt2", "minimind"}) {
    const Tokenizer& tokenizer = shared_tokenizer(name);
    for (uint64_t seed = 0; seed < 2000; ++seed) {
      const std::string text = random_bytes(random, seed);
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << name << " " << seed;
      ASSERT_EQ(tokenizer.decode(tokenizer.encode_ordinary(text)), text) << name << " " << seed;
    }
  }
}

TEST(Tokenizer, AByteOutsideTheVocabularyIsAnErrorAndNotLost) {
  EXPECT_ERROR(shared_tokenizer("deepseek_coder").encode("ab\xFF"), ErrorKind::kData, "0xFF");
}

TEST(Tokenizer, AVeryLongPieceIsCutFromTheLeftInReasonableTime) {
  // Four letters a are one token of GPT-2 (Hugging Face tokenizers gives the same 50,000 ids).
  const std::string text(200'000, 'a');
  const Ids ids = shared_tokenizer("gpt2").encode(text);
  EXPECT_EQ(ids, Ids(50'000, shared_tokenizer("gpt2").id_of("aaaa").value()));
}

TEST(Tokenizer, ThreadsGetTheSameIds) {
  const Tokenizer& v4 = shared_tokenizer("deepseek_v4");
  const std::string text = "Threads share one vocabulary and keep a cache each. 线程共享同一个词表。";
  const Ids expected = v4.encode(text);
  std::vector<Ids> found(4);
  std::vector<std::thread> threads;
  for (Ids& ids : found) threads.emplace_back([&] { for (int i = 0; i < 50; ++i) ids = v4.encode(text); });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& ids : found) EXPECT_EQ(ids, expected);
}

TEST(StreamDecoder, GivesWholeCharactersAsSoonAsTheyAreComplete) {
  const Tokenizer& v4 = shared_tokenizer("deepseek_v4");
  const std::string text = "é🌍 한국어 \xF0\x9F";
  StreamDecoder decoder(v4);
  std::string shown;
  for (const int32_t id : v4.encode(text)) {
    shown += decoder.push(id);
    EXPECT_TRUE(is_valid_utf8(shown)) << shown;
  }
  EXPECT_EQ(shown, "é🌍 한국어 ");
  EXPECT_EQ(decoder.finish(), "\xF0\x9F");
}

TEST(Tokenizer, FingerprintsTellVocabulariesApart) {
  EXPECT_EQ(shared_tokenizer("gpt2").fingerprint().size(), 16u);
  EXPECT_NE(shared_tokenizer("gpt2").fingerprint(), shared_tokenizer("minimind").fingerprint());
}

TEST(CheckMatches, AModelWithTooFewRowsIsACheckpointError) {
  check_matches(shared_tokenizer("gpt2"), 50257, "model");
  EXPECT_ERROR(check_matches(shared_tokenizer("gpt2"), 50256, "model"), ErrorKind::kCheckpoint, "rows for 50256 tokens");
}

TEST(Tokenizer, IdsWithoutATokenAreDataErrors) {
  EXPECT_ERROR(shared_tokenizer("gpt2").decode(Ids{50257}), ErrorKind::kData, "50257");
  EXPECT_ERROR(shared_tokenizer("gpt2").decode(Ids{-1}), ErrorKind::kData, "-1");
}

// The byte spelling of GPT-2: published examples are the space, the newline, and é (two bytes).
TEST(ByteLevel, SpellsBytesAsGpt2Does) {
  EXPECT_EQ(spell_bytes(" a\n"), "ĠaĊ");
  EXPECT_EQ(spell_bytes("é"), "Ã©");
  EXPECT_EQ(bytes_of_spelling("ĠaĊ"), " a\n");
  EXPECT_EQ(bytes_of_spelling("中"), std::nullopt);
}

}  // namespace
}  // namespace temper
