#pragma once
// A tokenizer whose tokens are single characters, for tests of text handling with tiny models.

#include "data/tokenizer.h"
#include "data/tokenizer_file.h"

namespace temper::test {

/// Ids 0 and 1 are the control tokens <bos> and <eos>; from 2 on single bytes: the space, then letters from 'a', ... ; n ids in all.
inline Tokenizer letter_tokenizer(int64_t n) {
  TokenizerFile file;
  file.byte2id.fill(-1);
  const auto add = [&](std::string bytes) {
    if (bytes.size() == 1) file.byte2id[static_cast<unsigned char>(bytes[0])] = static_cast<int32_t>(file.tokens.size());
    file.tokens.push_back(std::move(bytes));
    file.used.push_back(true);
  };
  add("<bos>"), add("<eos>"), add(" ");
  for (char c = 'a'; static_cast<int64_t>(file.tokens.size()) < n; ++c) add(std::string(1, c));
  file.added = {{.id = 0, .content = "<bos>", .special = true, .normalized = false}, {.id = 1, .content = "<eos>", .special = true, .normalized = false}};
  file.pre_tokenizer = Json::parse(R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})");
  file.bos = "<bos>", file.eos = "<eos>";
  file.where = "letters";
  return Tokenizer::from_file(std::move(file));
}

}  // namespace temper::test
