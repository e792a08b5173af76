#include "base/utf8.h"

#include <algorithm>

namespace temper {
namespace {

/// Length that a first byte announces; 0 for bytes that cannot begin a character.
uint32_t announced_length(uint8_t first) {
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;  // a continuation byte, or an overlong form
  if (first < 0xE0) return 2;
  if (first < 0xF0) return 3;
  return first < 0xF5 ? 4 : 0;
}

/// Second bytes are narrower than 80-BF after E0 (overlong), ED (surrogates), F0 (overlong) and F4 (beyond U+10FFFF).
bool second_byte_fits(uint8_t first, uint8_t second) {
  switch (first) {
    case 0xE0: return second >= 0xA0 && second <= 0xBF;
    case 0xED: return second >= 0x80 && second <= 0x9F;
    case 0xF0: return second >= 0x90 && second <= 0xBF;
    case 0xF4: return second >= 0x80 && second <= 0x8F;
    default: return second >= 0x80 && second <= 0xBF;
  }
}

bool is_continuation(uint8_t byte) { return (byte & 0xC0) == 0x80; }

}  // namespace

Utf8Char utf8_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const uint32_t length = announced_length(first);
  if (length == 0 || text.size() - at < length || !second_byte_fits(first, byte(1))) return {kInvalidUtf8, 1};
  char32_t code = first & (0x7F >> length);
  for (uint32_t i = 1; i < length; ++i) {
    if (!is_continuation(byte(i))) return {kInvalidUtf8, 1};
    code = (code << 6) | (byte(i) & 0x3F);
  }
  return {code, length};
}

void append_utf8(std::string& text, char32_t code) {
  const auto push = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    push(code);
  } else if (code < 0x800) {
    push(0xC0 | (code >> 6)), push(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    push(0xE0 | (code >> 12)), push(0x80 | ((code >> 6) & 0x3F)), push(0x80 | (code & 0x3F));
  } else {
    push(0xF0 | (code >> 18)), push(0x80 | ((code >> 12) & 0x3F)), push(0x80 | ((code >> 6) & 0x3F)), push(0x80 | (code & 0x3F));
  }
}

bool is_valid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    if (c.code == kInvalidUtf8) return false;
    at += c.length;
  }
  return true;
}

size_t complete_utf8_size(std::string_view text) {
  // An unfinished character is at most three bytes long and begins at the last byte that is not a continuation.
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const size_t at = text.size() - back;
    const auto first = static_cast<uint8_t>(text[at]);
    if (is_continuation(first)) continue;
    const bool unfinished = announced_length(first) > back && (back < 2 || second_byte_fits(first, static_cast<uint8_t>(text[at + 1])));
    return unfinished ? at : text.size();
  }
  return text.size();
}

}  // namespace temper
