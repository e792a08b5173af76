#include "data/tokenizer_file.h"

#include <gtest/gtest.h>

#include "data/bpe_trainer.h"
#include "data/tokenizer.h"
#include "support/expect_error.h"
#include "support/fixtures.h"

namespace temper {
namespace {

/// A small good file, which the tests damage.
const Json& good() {
  static const Json json = [] {
    BpeTrainer trainer;
    trainer.add("the cat and the hat and the cat");
    return parse_json(trainer.train(280).tokenizer_json(), "test");
  }();
  return json;
}

void expect_refused(const Json& json, const std::string& part) { EXPECT_ERROR(Tokenizer::from_file(parse_tokenizer_json(json.dump(), "test")), ErrorKind::kData, part); }

TEST(TokenizerFile, TheUndamagedFileIsRead) { EXPECT_EQ(Tokenizer::from_file(parse_tokenizer_json(good().dump(), "test")).vocab_size(), 280); }

TEST(TokenizerFile, InconsistentVocabulariesAreRefused) {
  struct Damage {
    void (*apply)(Json&);
    const char* part;
  };
  const Damage cases[] = {
      {[](Json& j) { j["model"]["merges"].push_back("zz q"); }, "needs the token \"zz\""},
      {[](Json& j) { j["model"]["merges"].push_back("q z"); }, "needs the token \"qz\""},
      {[](Json& j) { j["model"]["merges"].push_back(j["model"]["merges"][0]); }, "is listed twice"},
      {[](Json& j) { j["model"]["merges"].push_back("a b c"); }, "one space between"},
      {[](Json& j) { j["model"]["merges"].push_back(Json::array({"a"})); }, "neither"},
      {[](Json& j) { j["model"]["merges"].push_back(7); }, "neither"},
      {[](Json& j) { j["model"]["vocab"]["a"] = 3; }, "id 3 belongs to two tokens"},
      {[](Json& j) { j["model"]["vocab"]["new"] = -1; }, "outside [0,"},
      {[](Json& j) { j["model"]["vocab"]["new"] = 4000000000; }, "outside [0,"},
      {[](Json& j) { j["model"]["vocab"]["new"] = 28888844; }, "outside [0,"},   // tables by id would take a gigabyte
      {[](Json& j) { j["model"]["vocab"]["new"] = "5"; }, "not a whole number"},
      {[](Json& j) { j["model"]["vocab"].erase("a"); }, "needs the token \"a\""},
      {[](Json& j) { j["model"]["vocab"].erase("Q"); }, "no token for the byte 0x51"},
      {[](Json& j) { j["model"]["vocab"] = Json::object(); }, "the vocabulary is empty"},
      {[](Json& j) { j["added_tokens"][0]["id"] = 9; }, "has id 9, but id 0 in the vocabulary"},
      {[](Json& j) { j["added_tokens"][5]["id"] = 9; }, "id 9 belongs to two tokens"},
      {[](Json& j) { j["added_tokens"].push_back(j["added_tokens"][5]); }, "is listed twice"},
      {[](Json& j) { j["added_tokens"][5]["content"] = ""; }, "is empty"},
      {[](Json& j) { j["added_tokens"][5]["lstrip"] = true; }, "lstrip = true"},
      {[](Json& j) { j["added_tokens"][5].erase("id"); }, "\"id\" is missing"},
  };
  for (const Damage& damage : cases) {
    Json json = good();
    damage.apply(json);
    expect_refused(json, damage.part);
  }
}

TEST(TokenizerFile, OtherKindsAreRefusedByName) {
  struct Damage {
    void (*apply)(Json&);
    const char* part;
  };
  const Damage cases[] = {
      {[](Json& j) { j["model"]["type"] = "Unigram"; }, "Unigram"},
      {[](Json& j) { j["model"]["byte_fallback"] = true; }, "byte_fallback"},
      {[](Json& j) { j["model"]["dropout"] = 0.1; }, "dropout"},
      {[](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }, "end_of_word_suffix"},
      {[](Json& j) { j["normalizer"] = {{"type", "NFC"}}; }, "the normalizer is NFC"},
      {[](Json& j) { j["decoder"] = {{"type", "WordPiece"}}; }, "the decoder is WordPiece"},
      {[](Json& j) { j["decoder"] = nullptr; }, "the decoder is missing"},
      {[](Json& j) { j["pre_tokenizer"] = {{"type", "Metaspace"}}; }, "Metaspace"},
      {[](Json& j) { j.erase("model"); }, "\"model\" is missing"},
  };
  for (const Damage& damage : cases) {
    Json json = good();
    damage.apply(json);
    expect_refused(json, damage.part);
  }
}

TEST(TokenizerFile, AKeyThatStandsTwiceIsSeen) {
  std::string text = good().dump();
  text.replace(text.find("\"!\":3"), 5, "\"!\":3,\"!\":3");
  EXPECT_ERROR(parse_tokenizer_json(text, "test"), ErrorKind::kData, "\"!\" is in the vocabulary twice");
}

TEST(TokenizerFile, BrokenJsonIsADataErrorWithTheByte) {
  EXPECT_ERROR(parse_tokenizer_json("{\"model\": ", "test"), ErrorKind::kData, "not valid JSON");
  EXPECT_ERROR(parse_tokenizer_json("[]", "test"), ErrorKind::kData, "not a JSON object");
  EXPECT_ERROR(parse_tokenizer_json(std::string(100'000, '['), "test"), ErrorKind::kData, "deeper than");
}

TEST(TokenizerFile, AnEmptyNormalizerSequenceAndPairsAsListsAreFine) {
  Json json = good();
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", Json::array()}};
  const Tokenizer before = Tokenizer::from_file(parse_tokenizer_json(json.dump(), "test"));
  for (Json& merge : json["model"]["merges"]) {
    const auto line = merge.get<std::string>();
    const size_t space = line.find(' ');
    merge = Json::array({line.substr(0, space), line.substr(space + 1)});
  }
  const Tokenizer after = Tokenizer::from_file(parse_tokenizer_json(json.dump(), "test"));
  EXPECT_EQ(before.fingerprint(), after.fingerprint());
  EXPECT_EQ(before.encode("the hat"), after.encode("the hat"));
}

TEST(TokenizerFile, WholeWordsComeBeforeMergesWhereTheModelSaysSo) {
  Json json = good();
  json["model"]["vocab"]["xyz"] = 300;  // no merge makes it
  EXPECT_EQ(Tokenizer::from_file(parse_tokenizer_json(json.dump(), "test")).encode("xyz").size(), 3u);
  json["model"]["ignore_merges"] = true;
  EXPECT_EQ(Tokenizer::from_file(parse_tokenizer_json(json.dump(), "test")).encode("xyz"), std::vector<int32_t>{300});
}

TEST(TokenizerFile, FoldersWithoutATokenizerAreDataErrors) {
  const test::TempFolder folder;
  EXPECT_ERROR(Tokenizer::load(folder.path()), ErrorKind::kData, "neither tokenizer.json nor vocab.json");
  EXPECT_ERROR(Tokenizer::load(folder / "tokenizer.json"), ErrorKind::kData, "no such file");
  write_file_atomic(folder / "tokenizer.json", good().dump());
  write_file_atomic(folder / "tokenizer_config.json", R"({"eos_token": "<no such token>"})");
  EXPECT_ERROR(Tokenizer::load(folder.path()), ErrorKind::kData, "names the eos_token");
}

TEST(TokenizerFile, AConfigThatContradictsTheTokenizerIsRefused) {
  const test::TempFolder folder;
  write_file_atomic(folder / "tokenizer.json", good().dump());
  const auto with_config = [&](const std::string& config) {
    write_file_atomic(folder / "tokenizer_config.json", config);
    return Tokenizer::load(folder.path());
  };
  EXPECT_FALSE(with_config(R"({"added_tokens_decoder": {"1": {"content": "<｜end▁of▁sentence｜>"}}})").has_eos());
  EXPECT_ERROR(with_config(R"({"added_tokens_decoder": {"1": {"content": "<s>"}}})"), ErrorKind::kData, "gives id 1 to");
  EXPECT_ERROR(with_config(R"({"added_tokens_decoder": {"280": {"content": "<s>"}}})"), ErrorKind::kData, "gives id 280 to");
  EXPECT_ERROR(with_config("[]"), ErrorKind::kData, "not a JSON object");
}

TEST(TokenizerFile, VocabularyListsOfOtherFamiliesAreRefused) {
  const test::TempFolder folder;
  test::unpack_tokenizer("gpt2", folder.path());
  write_file_atomic(folder / "tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
  EXPECT_EQ(Tokenizer::load(folder.path()).vocab_size(), 50257);
  write_file_atomic(folder / "tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
  EXPECT_ERROR(Tokenizer::load(folder.path()), ErrorKind::kData, "belongs to a Qwen2Tokenizer");
}

}  // namespace
}  // namespace temper
