#pragma once
// Trains a byte-level BPE vocabulary on text, with V4's pre-tokenizer and chat tokens.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/files.h"

namespace temper {

/// A trained vocabulary.  Ids: BOS, EOS, pad; the 256 bytes in the order of their spelling; the merges in the order they
/// were found; then the chat tokens (data/chat_tokens.h).
struct TrainedBpe {
  std::vector<std::string> tokens;                            // spelling by id, without the chat tokens at the end
  std::vector<std::pair<std::string, std::string>> merges;    // spellings, by rank

  /// The text of a tokenizer.json that Hugging Face tokenizers loads with the same ids.
  std::string tokenizer_json() const;
  /// The text of the tokenizer_config.json that goes with it.
  static std::string tokenizer_config_json();
};

/// Collects pieces of text and finds merges.  The result depends on the multiset of pieces only: the most frequent pair is
/// joined, ties go to the pair of smaller ids (as in Hugging Face's trainer).
class BpeTrainer {
 public:
  /// Counts the pieces of one text.
  void add(std::string_view text);

  /// Ids in all, chat tokens included, is exactly `vocab_size`.
  /// Errors: Error{kConfig} for a size below the fixed tokens; Error{kData} if the text has too few different pairs.
  /// Throws Interrupted on Ctrl-C.
  TrainedBpe train(int64_t vocab_size) const;

  int64_t n_bytes() const { return n_bytes_; }

 private:
  std::unordered_map<std::string, int64_t> piece2count_;
  int64_t n_bytes_ = 0;
};

/// Writes tokenizer.json and tokenizer_config.json into `folder`.
void write_tokenizer(const TrainedBpe& trained, const fs::path& folder);

}  // namespace temper
