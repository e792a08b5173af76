#pragma once
// Regular expressions over UTF-8 by PCRE2 with its JIT, for tokenizer patterns that have no hand-written matcher.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace temper {

/// A compiled pattern.  \p{L}, \p{M}, \p{N}, \p{P}, \p{S} and \s have our Unicode version (data/unicode.h), other classes PCRE2's
/// own (14.0 in PCRE2 10.42).  Invalid UTF-8 in the text is matched around, never an error.
/// Threads: const methods from any thread.
class Regex {
 public:
  /// Errors: Error{kData} with the compiler's reason and the offset in the pattern.
  Regex(const std::string& pattern, const std::string& where);

  struct Match {
    size_t begin, end;
  };
  /// All matches from left to right that are not empty.  Look-around sees only `text`.
  /// Errors: Error{kData} when the pattern needs more backtracking than PCRE2 allows.
  std::vector<Match> find_all(std::string_view text) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace temper
