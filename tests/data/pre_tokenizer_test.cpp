#include "data/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "data/unicode.h"
#include "support/expect_error.h"

namespace temper {
namespace {

std::vector<std::string> pieces(const PreTokenizer& pre_tokenizer, const std::string& text) {
  std::vector<Piece> found;
  pre_tokenizer.split(text, found);
  std::vector<std::string> texts;
  for (const Piece& piece : found) texts.push_back(text.substr(piece.begin, piece.end - piece.begin));
  return texts;
}

std::vector<std::string> pieces(const std::string& json, const std::string& text) { return pieces(PreTokenizer::from_json(parse_json(json, "test"), "test"), text); }

/// Characters of every kind that the patterns tell apart, assigned long ago, and bytes that are no UTF-8.
std::string random_text(const RandomStream& random, uint64_t seed) {
  static const std::vector<std::string> alphabet = {"a", "Z", "é", "ж", "中", "龥", "龦", "の", "ー", "゙", "\u0301", "1", "٣", "Ⅷ", "½", " ", " ", "\n", "\r", "\t", "\u00A0", "\u0085", "\u2028", "\u3000", ".", "'", "s", "re", "_",
                                                    "-", "[", "。", "€", "+", "🌍", "\u200B", "\u0001", "\uE000", "\u180E", "\xFF", "\xE4\xB8", "\xF0\x9F"};
  std::string text;
  const uint64_t n = random.below(seed, 40);
  for (uint64_t i = 0; i < n; ++i) text += alphabet[random.below(seed * 64 + i, alphabet.size())];
  return text;
}

/// The hand-written matchers against the same patterns in PCRE2.
TEST(PreTokenizer, HandWrittenMatchersCutAsTheirPatternsDo) {
  const RandomStream random(11, "test.pre_tokenizer");
  for (const Json& json : {deepseek_pre_tokenizer(), gpt2_pre_tokenizer()}) {
    const PreTokenizer fast = PreTokenizer::from_json(json, "test");
    const PreTokenizer twin = PreTokenizer::from_json(json, "test", {.handwritten = false});
    for (uint64_t seed = 0; seed < 20000; ++seed) {
      const std::string text = random_text(random, seed);
      ASSERT_EQ(pieces(fast, text), pieces(twin, text)) << Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
    }
  }
}

// What each behaviour means is documented with Hugging Face tokenizers by this very example.
TEST(PreTokenizer, KnowsAllBehavioursOfSplit) {
  const auto split = [](const std::string& behaviour) { return pieces(R"({"type":"Split","pattern":{"String":"-"},"behavior":")" + behaviour + R"(","invert":false})", "the-final--countdown"); };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(split("Removed"), (Texts{"the", "final", "countdown"}));
  EXPECT_EQ(split("Isolated"), (Texts{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split("MergedWithPrevious"), (Texts{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(split("MergedWithNext"), (Texts{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(split("Contiguous"), (Texts{"the", "-", "final", "--", "countdown"}));
}

TEST(PreTokenizer, InvertTakesTheGapsAsMatches) {
  EXPECT_EQ(pieces(R"({"type":"Split","pattern":{"Regex":"[a-z]+"},"behavior":"Removed","invert":true})", "ab1cd"), (std::vector<std::string>{"ab", "cd"}));
}

TEST(PreTokenizer, DigitsAreCutOneByOneOrTogether) {
  EXPECT_EQ(pieces(R"({"type":"Digits","individual_digits":true})", "a12²"), (std::vector<std::string>{"a", "1", "2", "²"}));
  EXPECT_EQ(pieces(R"({"type":"Digits","individual_digits":false})", "a12²b"), (std::vector<std::string>{"a", "12²", "b"}));
}

TEST(PreTokenizer, UnknownComponentsAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"type":"Metaspace"})", "Metaspace"},
      {R"({"type":"Sequence","pretokenizers":[{"type":"Whitespace"}]})", "Whitespace"},
      {R"({"type":"Split","pattern":{"String":"a"},"behavior":"Sideways"})", "Sideways"},
      {R"({"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"})", "does not compile"},
      {R"({"type":"Split","pattern":{"Glob":"a"},"behavior":"Isolated"})", "\"String\" is missing"},
      {R"({"type":"ByteLevel","add_prefix_space":true})", "add_prefix_space"},
      {R"({"pretokenizers":[]})", "\"type\" is missing"},
      {"null", "no component"},
  };
  for (const auto& [json, part] : cases) EXPECT_ERROR(PreTokenizer::from_json(parse_json(json, "test"), "test"), ErrorKind::kData, part);
}

// Code points that Unicode assigned in 15.0, 15.1 and 16.0, later than PCRE2 10.42 knows.
TEST(Unicode, HasTheClassesOfVersion16) {
  EXPECT_EQ(char_class(0x1C89), kLetter);
  EXPECT_EQ(char_class(0x2FFC), kSymbol);
  EXPECT_EQ(char_class(0x10D40), kNumber);
  EXPECT_EQ(char_class(0x180E), kOther);
  EXPECT_EQ(char_class(0x378), kOther);
  EXPECT_EQ(pieces(R"({"type":"Split","pattern":{"Regex":"\\p{L}+"},"behavior":"Removed","invert":true})", "a\u1C89\u1C8A1"), std::vector<std::string>{"a\u1C89\u1C8A"});
}

}  // namespace
}  // namespace temper
