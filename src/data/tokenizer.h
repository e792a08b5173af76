#pragma once
// Text <-> token ids, by byte-level BPE.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace temper {

struct TokenizerFile;

/// A stretch [begin, end) of a text: an added token, or ordinary text (id -1).
struct TextPart {
  size_t begin, end;
  int32_t id;
};

/// A byte-level BPE tokenizer, exact to Hugging Face tokenizers with add_special_tokens = false.
/// Every byte of a text is kept: decode(encode(text)) == text for every text, invalid UTF-8 too (its bytes are encoded one
/// by one as they stand; see PreTokenizer).
/// A value: copies share one immutable vocabulary.
/// Threads: const methods from any thread; each thread keeps its own small cache of words.
class Tokenizer {
 public:
  /// Reads a model folder (tokenizer.json, or vocab.json + merges.txt; tokenizer_config.json for the special roles), or a
  /// tokenizer.json itself.  Errors: Error{kData}, see tokenizer_file.h.
  static Tokenizer load(const fs::path& folder_or_file);
  /// The same from what tokenizer_file.h reads.
  static Tokenizer from_file(TokenizerFile file);

  /// Ids of `text`; added tokens (control tokens) in it become their ids.  For text that the program itself has put
  /// together.  Errors: Error{kData} for texts of 4 GiB and more, and for a byte without a token (only vocabularies that
  /// left out the bytes which valid UTF-8 never has).
  std::vector<int32_t> encode(std::string_view text) const;

  /// The added tokens in `text` and what stands between them, in order.
  std::vector<TextPart> find_added(std::string_view text) const;

  /// Ids of `text` with added tokens taken as ordinary text.  For text from outside: it cannot inject control tokens.
  std::vector<int32_t> encode_ordinary(std::string_view text) const;
  /// The same, appended to `ids`.
  void append_ordinary(std::string_view text, std::vector<int32_t>& ids) const;

  /// The bytes of these tokens.  skip_special leaves out control tokens, but never the text markers <think>, </think> and
  /// ｜DSML｜, which are part of an answer.  Errors: Error{kData} for an id without a token.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;
  /// The bytes of one token; nothing if no token has this id.
  std::optional<std::string_view> bytes_of(int32_t id) const;

  /// The largest id + 1: what the embedding needs at least.
  int64_t vocab_size() const;
  /// The id of the added token with this content.
  std::optional<int32_t> added_id(std::string_view content) const;
  /// The same, or else the id of the token that stands for exactly these bytes.
  std::optional<int32_t> id_of(std::string_view token) const;
  /// Is this an added token that skip_special leaves out?
  bool is_special(int32_t id) const;

  /// Ids of the special roles in tokenizer_config.json.  Errors: Error{kData} if the tokenizer has none (see has_bos()).
  int32_t bos_id() const;
  int32_t eos_id() const;
  int32_t pad_id() const;  // eos_id() where no padding token is named
  bool has_bos() const;
  bool has_eos() const;

  /// 16 hexadecimal digits of XXH3 over vocabulary, merges, added tokens and pre-tokenizer: equal fingerprints, equal ids.
  const std::string& fingerprint() const;

 private:
  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// Decodes a stream of tokens: gives out bytes as soon as no later token can complete a character they begin.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = false)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}
  /// The text that has become certain.
  std::string push(int32_t id);
  /// What is left at the end of the stream: the bytes of an unfinished character, if any.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  std::string pending_;
};

/// Error{kCheckpoint} unless a model with `vocab_size` rows has one for every token.
void check_matches(const Tokenizer& tokenizer, int64_t vocab_size, const std::string& where);
/// Tokenizer::load, and check_matches with its path.
Tokenizer load_matching_tokenizer(const fs::path& path, int64_t vocab_size);

}  // namespace temper
