#include "eval/text/unicode.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace temper::text {
namespace {

struct CodeRange {
  uint32_t first, last, stride;
};
struct CaseRange {
  uint32_t first, last, stride;
  int32_t distance;
};

#include "eval/text/unicode_tables.inc"

// The row that covers c, or null.  Rows are sorted and do not interleave.
template <class Row, size_t N> const Row* find_row(const Row (&rows)[N], char32_t c) {
  const Row* row = std::upper_bound(std::begin(rows), std::end(rows), c, [](char32_t v, const Row& r) { return v < r.first; });
  if (row == std::begin(rows)) return nullptr;
  --row;
  return c <= row->last && (c - row->first) % row->stride == 0 ? row : nullptr;
}

// One character at `at`; moves `at` past it.
char32_t next_code(std::string_view s, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return s[at++];
  const int length = lead >= 0xF0 && lead < 0xF5 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (length == 0 || lead >= 0xF5) return ++at, 0xFFFD;
  char32_t code = lead & (0xFF >> (length + 1));
  for (int i = 1; i < length; ++i) {
    if (at + i >= s.size() || (byte(at + i) & 0xC0) != 0x80) return at += i, 0xFFFD;
    code = (code << 6) | (byte(at + i) & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return ++at, 0xFFFD;
  at += length;
  return code;
}

// Where the last character of s starts.
size_t last_start(std::string_view s) {
  size_t at = s.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(s[at]) & 0xC0) == 0x80) --at;
  return at;
}

bool all_of_case(std::string_view text, bool (*wanted)(char32_t), bool (*other)(char32_t)) {
  bool cased = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code(text, at);
    if (other(c) || is_title(c)) return false;
    cased = cased || wanted(c);
  }
  return cased;
}

// Σ becomes ς at the end of a word: a cased letter before it, none after, case-ignorable characters skipped.
bool is_final_sigma(std::u32string_view text, size_t at) {
  size_t before = at;
  while (before > 0 && find_row(kCaseIgnorable, text[before - 1])) --before;
  if (before == 0 || !find_row(kCased, text[before - 1])) return false;
  size_t after = at + 1;
  while (after < text.size() && find_row(kCaseIgnorable, text[after])) ++after;
  return after == text.size() || !find_row(kCased, text[after]);
}

}  // namespace

std::u32string decode_utf8(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) out.push_back(next_code(text, at));
  return out;
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

std::string encode_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}
bool is_upper(char32_t c) { return find_row(kUpper, c) != nullptr; }
bool is_lower(char32_t c) { return find_row(kLower, c) != nullptr; }
bool is_title(char32_t c) { return find_row(kTitle, c) != nullptr; }

bool all_upper(std::string_view text) { return all_of_case(text, is_upper, is_lower); }
bool all_lower(std::string_view text) { return all_of_case(text, is_lower, is_upper); }

std::u32string lower(char32_t c) {
  if (c == 0x130) return U"i\u0307";
  const CaseRange* row = find_row(kToLower, c);
  return std::u32string(1, row ? static_cast<char32_t>(static_cast<int32_t>(c) + row->distance) : c);
}

std::string lower(std::string_view text) {
  const std::u32string codes = decode_utf8(text);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] == 0x3A3) {
      append_utf8(out, is_final_sigma(codes, i) ? 0x3C2 : 0x3C3);
    } else {
      for (const char32_t c : lower(codes[i])) append_utf8(out, c);
    }
  }
  return out;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    const size_t start = last_start(text);
    size_t at = start;
    if (!is_space(next_code(text, at))) break;
    text = text.substr(0, start);
  }
  return text;
}

std::string_view strip(std::string_view text) {
  while (!text.empty()) {
    size_t at = 0;
    if (!is_space(next_code(text, at))) break;
    text.remove_prefix(at);
  }
  return strip_right(text);
}

std::string_view strip_left(std::string_view text, std::string_view characters) {
  const size_t first = text.find_first_not_of(characters);
  return first == std::string_view::npos ? text.substr(text.size()) : text.substr(first);
}
std::string_view strip_right(std::string_view text, std::string_view characters) {
  const size_t last = text.find_last_not_of(characters);
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}
std::string_view strip(std::string_view text, std::string_view characters) {
  return strip_right(strip_left(text, characters), characters);
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  size_t start = std::string_view::npos;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    if (!is_space(next_code(text, at))) {
      if (start == std::string_view::npos) start = here;
    } else if (start != std::string_view::npos) {
      words.push_back(text.substr(start, here - start));
      start = std::string_view::npos;
    }
  }
  if (start != std::string_view::npos) words.push_back(text.substr(start));
  return words;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> pieces;
  for (;;) {
    const size_t at = text.find(separator);
    pieces.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return pieces;
    text.remove_prefix(at + separator.size());
  }
}

std::string join(const std::vector<std::string_view>& pieces, std::string_view separator, size_t first, size_t last) {
  std::string out;
  for (size_t i = first; i < last && i < pieces.size(); ++i) {
    if (i > first) out += separator;
    out += pieces[i];
  }
  return out;
}

std::string_view remove_prefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}
std::string_view remove_suffix(std::string_view text, std::string_view suffix) {
  return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (size_t at = 0;;) {
    const size_t found = text.find(from, at);
    out += text.substr(at, found == std::string_view::npos ? found : found - at);
    if (found == std::string_view::npos) return out;
    out += to;
    at = found + from.size();
  }
}

}  // namespace temper::text
