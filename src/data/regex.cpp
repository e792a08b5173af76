#include "data/regex.h"

#include <fmt/format.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

namespace temper {
namespace {

/// Writes \s and \S out: PCRE2 counts U+180E as space, which has not been White_Space since Unicode 6.3.
std::string with_white_space_written_out(const std::string& pattern) {
  constexpr std::string_view kSpaces =
      R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      if (next == 's') {
        out += in_class ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
      } else if (next == 'S' && !in_class) {
        out += fmt::format("[^{}]", kSpaces);
      } else {
        out += c;
        out += next;
      }
      continue;
    }
    if (c == '[' && !in_class) {
      in_class = true;
      // A "]" right after "[" or "[^" is a member.
      out += c;
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') out += pattern[++i];
      continue;
    }
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

std::string pcre2_message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

struct Regex::Code {
  pcre2_code* compiled = nullptr;
  std::string pattern;
  std::string where;
  ~Code() { pcre2_code_free(compiled); }
};

Regex::Regex(const std::string& pattern, const std::string& where) {
  auto code = std::make_shared<Code>();
  code->pattern = pattern;
  code->where = where;
  const std::string ours = with_white_space_written_out(pattern);
  int error = 0;
  size_t offset = 0;
  code->compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(ours.data()), ours.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &error, &offset, nullptr);
  if (!code->compiled) {
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("the pattern {:?} does not compile: {} at byte {}", pattern, pcre2_message(error), offset),
                 .where = where,
                 .fix = "the file is damaged, or its pattern uses syntax that only another regex engine knows"});
  }
  pcre2_jit_compile(code->compiled, PCRE2_JIT_COMPLETE);  // without a JIT the interpreter gives the same matches
  code_ = std::move(code);
}

std::vector<Regex::Match> Regex::find_all(std::string_view text) const {
  std::vector<Match> matches;
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      pcre2_match_data_create_from_pattern(code_->compiled, nullptr), &pcre2_match_data_free);
  for (size_t from = 0; from < text.size();) {
    const int found = pcre2_match(code_->compiled, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, 0, data.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw Error({.kind = ErrorKind::kData,
                   .what = fmt::format("the pattern {:?} failed on a text of {} bytes: {}", code_->pattern, text.size(), pcre2_message(found)),
                   .where = code_->where,
                   .fix = "break very long runs of one kind of character in the text"});
    }
    const size_t* ends = pcre2_get_ovector_pointer(data.get());
    if (ends[1] > ends[0]) matches.push_back({ends[0], ends[1]});
    from = ends[1] > ends[0] ? ends[1] : ends[1] + 1;
  }
  return matches;
}

}  // namespace temper
