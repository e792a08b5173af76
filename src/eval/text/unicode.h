#pragma once
// Text as Python's str sees it: code points, letter case, white space.  The checkers of IFEval are defined by Python's behaviour.
// Source: Unicode 14.0 as in Python 3.11 (unicode_tables.inc, made by tools/unicode_tables.py).
// Strings are UTF-8 unless they are u32; invalid bytes become U+FFFD.  Threads: all functions from any thread.

#include <string>
#include <string_view>
#include <vector>

namespace temper::text {

std::u32string decode_utf8(std::string_view text);
std::string encode_utf8(std::u32string_view text);
void append_utf8(std::string& out, char32_t c);

inline bool within(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }
bool is_space(char32_t c);   // str.isspace of one character
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_title(char32_t c);

/// str.isupper: at least one cased character, and every cased one is upper case.
bool all_upper(std::string_view text);
/// str.islower.
bool all_lower(std::string_view text);
/// str.lower, with the final sigma.
std::string lower(std::string_view text);
/// What lower() makes of one character taken alone (İ gives two).
std::u32string lower(char32_t c);

/// str.strip(): white space at both ends.
std::string_view strip(std::string_view text);
std::string_view strip_right(std::string_view text);
/// str.strip(characters), .lstrip, .rstrip for ASCII characters.
std::string_view strip(std::string_view text, std::string_view characters);
std::string_view strip_left(std::string_view text, std::string_view characters);
std::string_view strip_right(std::string_view text, std::string_view characters);

/// str.split(): runs of white space separate, no empty pieces.
std::vector<std::string_view> split_words(std::string_view text);
/// str.split(separator).
std::vector<std::string_view> split(std::string_view text, std::string_view separator);
std::string join(const std::vector<std::string_view>& pieces, std::string_view separator, size_t first, size_t last);

std::string_view remove_prefix(std::string_view text, std::string_view prefix);
std::string_view remove_suffix(std::string_view text, std::string_view suffix);
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

}  // namespace temper::text
