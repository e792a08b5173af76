#pragma once
// The GPT-2 spelling of bytes: each byte is one printable character, so that vocabularies can be written as JSON.
// Printable Latin-1 bytes are themselves; the other 68 are U+0100, U+0101, ... in order (a space is "Ġ", a newline "Ċ").

#include <optional>
#include <string>
#include <string_view>

namespace temper {

/// Bytes -> spelling (UTF-8).
std::string spell_bytes(std::string_view bytes);

/// Spelling -> bytes; nothing if a character of `spelling` stands for no byte.
std::optional<std::string> bytes_of_spelling(std::string_view spelling);

}  // namespace temper
