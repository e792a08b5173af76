#include "data/byte_level.h"

#include <array>

#include "data/unicode.h"

namespace temper {
namespace {

constexpr char32_t kSpellingEnd = 0x100 + 68;  // one past the last character used

struct Spelling {
  std::array<char32_t, 256> char_of_byte;
  std::array<int, kSpellingEnd> byte_of_char;  // -1: none
};

Spelling make_spelling() {
  Spelling s;
  s.byte_of_char.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    const char32_t code = printable ? static_cast<char32_t>(byte) : next++;
    s.char_of_byte[static_cast<size_t>(byte)] = code;
    s.byte_of_char[code] = byte;
  }
  return s;
}

const Spelling& spelling_table() {
  static const Spelling table = make_spelling();
  return table;
}

}  // namespace

std::string spell_bytes(std::string_view bytes) {
  std::string spelling;
  spelling.reserve(bytes.size() * 2);
  for (const char byte : bytes) append_utf8(spelling, spelling_table().char_of_byte[static_cast<uint8_t>(byte)]);
  return spelling;
}

std::optional<std::string> bytes_of_spelling(std::string_view spelling) {
  std::string bytes;
  bytes.reserve(spelling.size());
  for (size_t at = 0; at < spelling.size();) {
    const Utf8Char c = utf8_at(spelling, at);
    const int byte = c.code < kSpellingEnd ? spelling_table().byte_of_char[c.code] : -1;
    if (byte < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
    at += c.length;
  }
  return bytes;
}

}  // namespace temper
