#pragma once
// Cuts text into the pieces inside which byte-pair merges happen.  Built from the "pre_tokenizer" entry of tokenizer.json.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace temper {

/// Bytes [begin, end) of a text.
struct Piece {
  uint32_t begin, end;
  friend bool operator==(const Piece&, const Piece&) = default;
};

/// One way of cutting; acts inside each piece of the step before it.
class SplitStep {
 public:
  virtual ~SplitStep() = default;
  /// Appends the pieces of text[piece.begin, piece.end) in order.
  virtual void split(std::string_view text, Piece piece, std::vector<Piece>& out) const = 0;
};

/// Understands Sequence, Split (Regex or String; all behaviours; invert), Digits and ByteLevel.
/// The patterns of DeepSeek-V3/V4 and GPT-2 have matchers written by hand; others run in PCRE2.
/// Invalid UTF-8: no match begins in, ends in or looks across bytes that belong to no valid sequence; they are gaps.  So cutting
/// never fails and no byte is lost.
/// Threads: const methods from any thread.
class PreTokenizer {
 public:
  struct Options {
    bool handwritten = true;  // false: every pattern through PCRE2 (the twin in the tests)
  };
  /// Errors: Error{kData} that names the component which is unknown, or the pattern which does not compile.
  static PreTokenizer from_json(const Json& json, const std::string& where, Options options);
  static PreTokenizer from_json(const Json& json, const std::string& where) { return from_json(json, where, Options{}); }

  /// Replaces `out` by the pieces of `text`, in order.  REQUIRES text.size() < 2^32 (checked by Tokenizer).
  void split(std::string_view text, std::vector<Piece>& out) const;

 private:
  std::vector<std::shared_ptr<const SplitStep>> steps_;
};

/// The "pre_tokenizer" entry of DeepSeek-V3 and V4.
Json deepseek_pre_tokenizer();

/// The entry that GPT-2 implies.
Json gpt2_pre_tokenizer();

}  // namespace temper
