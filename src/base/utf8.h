#pragma once
// UTF-8: reading, writing and checking single characters.  Threads: any.

#include <cstdint>
#include <string>
#include <string_view>

namespace temper {

/// One character of a UTF-8 text.
struct Utf8Char {
  char32_t code;    // kInvalidUtf8 for a byte that belongs to no valid sequence
  uint32_t length;  // bytes; 1 for an invalid byte
};
inline constexpr char32_t kInvalidUtf8 = 0xFFFFFFFF;

/// The character at text[at]; REQUIRES at < text.size() (not checked).  Overlong forms and surrogates are invalid.
Utf8Char utf8_at(std::string_view text, size_t at);

/// Appends one code point; REQUIRES a code point below U+110000 (not checked).
void append_utf8(std::string& text, char32_t code);

/// True if every byte belongs to a valid sequence.
bool is_valid_utf8(std::string_view text);

/// Bytes of `text` that can be shown now: all but a valid beginning of a character whose end has not come yet (0-3 bytes).
size_t complete_utf8_size(std::string_view text);

}  // namespace temper
