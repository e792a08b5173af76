#pragma once
// What the files of a tokenizer say, read and checked, before anything is built from it.

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "data/bpe.h"

namespace temper {

struct AddedToken {
  int32_t id;
  std::string content;
  bool special;     // control token: skip_special leaves it out of decoded text
  bool normalized;  // matched after those that are not
};

struct TokenizerFile {
  std::vector<std::string> tokens;       // by id: the bytes a token stands for
  std::vector<bool> used;                // by id: false where no token has this id
  std::vector<AddedToken> added;         // in the order of the file
  std::array<int32_t, 256> byte2id;      // -1: no token for this byte
  std::vector<Merge> merges;             // in the order of their rank
  std::unordered_map<std::string, int32_t> whole_words;  // only with `ignore_merges`: pieces that are tokens as they stand
  Json pre_tokenizer;
  std::optional<std::string> bos, eos, pad;  // contents, from tokenizer_config.json
  std::string where;                     // the file, for messages
};

/// Reads a folder (tokenizer.json, else vocab.json + merges.txt; tokenizer_config.json if there is one) or a
/// tokenizer.json itself (then the config beside it).  Format: Hugging Face tokenizers, byte-level BPE.
/// With vocab.json + merges.txt the conventions of GPT-2 hold: its pattern, and <|endoftext|> begins and ends texts.
/// Errors: Error{kData} for anything that is missing, inconsistent (a merge of unknown tokens, two tokens with one id,
/// an added token or a config that contradicts the vocabulary, a byte without a token), or of a kind that is not known here.
TokenizerFile read_tokenizer_file(const fs::path& folder_or_file);

/// The same from the text of a tokenizer.json; `where` names it in messages.
TokenizerFile parse_tokenizer_json(std::string_view text, const std::string& where);

}  // namespace temper
