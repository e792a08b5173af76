// Which small files go with the weights.
#include "checkpoint/companions.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

using namespace test;
using Names = std::vector<std::string>;

Names names_of(const NamedFiles& files) {
  Names names;
  for (const auto& [name, content] : files) names.push_back(name);
  return names;
}

class Companions : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) {
    fs::create_directories((folder_ / name).parent_path());
    write_file_atomic(folder_ / name, content);
  }
  TempFolder folder_;
};

TEST_F(Companions, AreTheFilesThatDescribeTheModelAndNotItsWeightsOrItsPage) {
  for (const char* name : {"tokenizer.json", "generation_config.json", "chat_template.jinja", "special_tokens_map.json", "LICENSE", "LICENSE-MODEL.txt", "NOTICE.md",
                           "configuration_x.py", "encoding/encoding_dsv4.py", "additional_chat_templates/tool.jinja", "model.safetensors", "model.safetensors.index.json",
                           "config.json", "README.md", "hf_quant_config.json", "inference/model.py", "encoding/README.md", ".gitattributes", "figures/a.png"})
    write(name, "x");
  EXPECT_EQ(companions_of(folder_.path()),
            (Names{"LICENSE", "LICENSE-MODEL.txt", "NOTICE.md", "additional_chat_templates/tool.jinja", "chat_template.jinja", "configuration_x.py", "encoding/encoding_dsv4.py",
                   "generation_config.json", "special_tokens_map.json", "tokenizer.json"}));
  EXPECT_EQ(other_files_of(folder_.path()), (Names{"README.md", "encoding/", "figures/", "hf_quant_config.json", "inference/"}));
}

TEST_F(Companions, ATokenizerOfItsOwnReplacesTheModelsTokenizerFilesOnly) {
  for (const char* name : {"model/tokenizer.json", "model/chat_template.jinja", "model/generation_config.json", "own/vocab.json", "own/merges.txt"}) write(name, name);
  const NamedFiles files = read_companions(folder_ / "model", folder_ / "own");
  EXPECT_EQ(names_of(files), (Names{"generation_config.json", "merges.txt", "vocab.json"}));
  EXPECT_EQ(files[1].second, "own/merges.txt");
}

TEST_F(Companions, ATokenizerGivenAsAFileIsStoredUnderItsUsualName) {
  write("model/generation_config.json", "{}");
  write("own/english.json", "the vocabulary");
  write("own/tokenizer_config.json", "its roles");
  write("own/vocab.json", "of another");
  EXPECT_EQ(read_companions(folder_ / "model", folder_ / "own/english.json"),
            (NamedFiles{{"generation_config.json", "{}"}, {"tokenizer.json", "the vocabulary"}, {"tokenizer_config.json", "its roles"}}));
}

TEST_F(Companions, TheModelsVocabularyFromAnotherPlaceKeepsTheModelsTemplate) {
  for (const char* name : {"model/tokenizer.json", "own.json"}) write(name, "the vocabulary");
  write("model/chat_template.jinja", "template");
  EXPECT_EQ(read_companions(folder_ / "model", folder_ / "own.json"), (NamedFiles{{"chat_template.jinja", "template"}, {"tokenizer.json", "the vocabulary"}}));
}

TEST_F(Companions, APointerInPlaceOfAFileIsRefused) {
  write("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
  EXPECT_ERROR(read_companions(folder_.path(), folder_.path()), ErrorKind::kCheckpoint, "Git LFS pointer, not the file itself (which has 12345 bytes)");
}

}  // namespace
}  // namespace temper
