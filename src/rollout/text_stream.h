#pragma once
// Turns the bytes of generated tokens into text that may be shown: only whole UTF-8 characters, and never the beginning of
// something that could still become a stop string.

#include <string>
#include <string_view>
#include <vector>

namespace temper {

class TextStream {
 public:
  explicit TextStream(std::vector<std::string> stop_strings = {});

  /// Adds the bytes of one token; returns what can be shown now (whole characters, perhaps nothing).
  std::string push(std::string_view bytes);
  /// The rest at the end of generation; an unfinished character becomes U+FFFD.
  std::string finish();

  /// A stop string has appeared: text() ends before it and nothing more comes out.
  bool stopped() const { return stopped_; }
  /// All bytes so far, without the stop string and what followed it.
  const std::string& text() const { return text_; }

 private:
  std::vector<std::string> stop_strings_;
  std::string text_;
  size_t shown_ = 0;   // bytes of text_ already returned
  bool stopped_ = false;
};

/// `bytes` with every invalid part of UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view bytes);

}  // namespace temper
