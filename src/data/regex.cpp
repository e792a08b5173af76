#include "data/regex.h"

#include <fmt/format.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "base/error.h"
#include "data/unicode.h"

namespace temper {
namespace {

std::string pcre2_message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

using Compiled = std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)>;

/// Null on a mistake in the pattern; then `error` and `offset` say which.
Compiled compile(const std::string& pattern, int& error, size_t& offset) {
  Compiled code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF,
                              &error, &offset, nullptr),
                &pcre2_code_free);
  if (code) pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without a JIT the interpreter gives the same matches
  return code;
}

/// Appends all matches that are not empty; returns 0 or PCRE2's error.
int match_all(const pcre2_code* code, std::string_view text, std::vector<Regex::Match>& matches) {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(pcre2_match_data_create_from_pattern(code, nullptr),
                                                                                &pcre2_match_data_free);
  for (size_t from = 0; from < text.size();) {
    const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, 0, data.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) return 0;
    if (found < 0) return found;
    const size_t* ends = pcre2_get_ovector_pointer(data.get());
    if (ends[1] > ends[0]) matches.push_back({ends[0], ends[1]});
    from = ends[1] > ends[0] ? ends[1] : ends[1] + 1;
  }
  return 0;
}

constexpr std::string_view kClassLetters = "LMNPS";

/// Members that a class of kClassLetters has in our table but not in PCRE2's older one, as ranges for a bracket.
std::string newer_members(size_t which) {
  std::string text;
  for (char32_t code = 0; code < 0x110000; ++code) {
    if (code < 0xD800 || code > 0xDFFF) append_utf8(text, code);
  }
  int error = 0;
  size_t offset = 0;
  std::vector<Regex::Match> known;
  match_all(compile(fmt::format("\\p{{{}}}+", kClassLetters[which]), error, offset).get(), text, known);
  auto run = known.begin();
  std::string ranges;
  char32_t first = 0, last = 0;  // of the range that is open; none if first is 0
  const auto close = [&] {
    if (first != 0) ranges += fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", static_cast<uint32_t>(first), static_cast<uint32_t>(last));
    first = 0;
  };
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    while (run != known.end() && run->end <= at) ++run;
    const bool is_known = run != known.end() && run->begin <= at;
    const CharClass ours = char_class(c.code);
    const bool is_ours = ours == std::array{kLetter, kMark, kNumber, kPunctuation, kSymbol}[which];
    if (is_ours && !is_known) {
      if (first == 0 || c.code != last + 1) close(), first = c.code;
      last = c.code;
    }
    at += c.length;
  }
  close();
  return ranges;
}

/// The inside of a bracket for \p{letter}, with our Unicode version.
std::string class_members(size_t which) {
  static const std::array<std::string, 5> newer = {newer_members(0), newer_members(1), newer_members(2), newer_members(3), newer_members(4)};
  return fmt::format("\\p{{{}}}{}", kClassLetters[which], newer[which]);
}

/// \s is White_Space as in the reference engine; PCRE2 also counts U+180E, which has not been one since Unicode 6.3.
constexpr std::string_view kSpaces = R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

/// The bracket's inside that an escape at pattern[at] stands for ("" if it is another one), and its length.
struct Escape {
  std::string members;
  bool negated;
  size_t length;
};
Escape class_escape(std::string_view escape) {
  if (escape.starts_with("\\s") || escape.starts_with("\\S")) return {std::string(kSpaces), escape[1] == 'S', 2};
  const bool property = escape.size() >= 5 && (escape[1] == 'p' || escape[1] == 'P') && escape[2] == '{' && escape[4] == '}';
  const size_t which = property ? kClassLetters.find(escape[3]) : std::string_view::npos;
  if (which == std::string_view::npos) return {"", false, 2};
  return {class_members(which), escape[1] == 'P', 5};
}

/// The pattern with our Unicode classes and White_Space in it.  A negated class inside a bracket stays PCRE2's.
std::string with_our_classes(const std::string& pattern) {
  std::string out;
  bool in_bracket = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const Escape escape = class_escape(std::string_view(pattern).substr(i));
      const bool ours = !escape.members.empty() && !(in_bracket && escape.negated);
      if (!ours) out.append(pattern, i, escape.length);
      else if (in_bracket) out += escape.members;
      else out += fmt::format("[{}{}]", escape.negated ? "^" : "", escape.members);
      i += escape.length - 1;
      continue;
    }
    out += c;
    if (c == '[' && !in_bracket) {
      in_bracket = true;
      // A "]" right after "[" or "[^" is a member.
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') out += pattern[++i];
    } else if (c == ']') {
      in_bracket = false;
    }
  }
  return out;
}

}  // namespace

struct Regex::Code {
  Compiled compiled;
  std::string pattern, where;
};

Regex::Regex(const std::string& pattern, const std::string& where) {
  int error = 0;
  size_t offset = 0;
  Compiled compiled = compile(with_our_classes(pattern), error, offset);
  if (!compiled) {
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("the pattern {:?} does not compile: {} at byte {}", pattern, pcre2_message(error), offset),
                 .where = where,
                 .fix = "the file is damaged, or its pattern uses syntax that only another regex engine knows"});
  }
  code_ = std::make_shared<Code>(Code{std::move(compiled), pattern, where});
}

std::vector<Regex::Match> Regex::find_all(std::string_view text) const {
  std::vector<Match> matches;
  if (const int error = match_all(code_->compiled.get(), text, matches); error != 0) {
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("the pattern {:?} failed on a text of {} bytes: {}", code_->pattern, text.size(), pcre2_message(error)),
                 .where = code_->where,
                 .fix = "break very long runs of one kind of character in the text"});
  }
  return matches;
}

}  // namespace temper
