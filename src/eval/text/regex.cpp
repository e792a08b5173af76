#include "eval/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <cctype>

#include "base/error.h"

namespace temper::text {
namespace {

// str.isspace, written for the inside of a class.
constexpr std::string_view kSpaceSet = R"(\x09-\x0d\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// Length of "{,n}" at the head of s, else 0.
size_t open_repeat(std::string_view s) {
  if (!s.starts_with("{,")) return 0;
  size_t at = 2;
  while (at < s.size() && std::isdigit(static_cast<unsigned char>(s[at]))) ++at;
  return at > 2 && at < s.size() && s[at] == '}' ? at + 1 : 0;
}

// Position after a class that starts at `at`, appending its PCRE2 form.
size_t translate_class(std::string_view pattern, size_t at, bool ignore_case, std::string& out) {
  out += pattern[at++];
  if (at < pattern.size() && pattern[at] == '^') out += pattern[at++];
  bool first = true, has_i = false;
  for (; at < pattern.size() && (pattern[at] != ']' || first); first = false) {
    const char c = pattern[at];
    has_i = has_i || c == 'i' || c == 'I';
    if (c == '\\' && at + 1 < pattern.size()) {
      if (pattern[at + 1] == 's') out += kSpaceSet;
      else out += pattern.substr(at, 2);
      at += 2;
    } else {
      if (c == '[') out += '\\';   // Python has no [:alpha:]
      out += c;
      ++at;
    }
  }
  if (ignore_case && has_i) out += R"(\x{130}\x{131})";
  if (at < pattern.size()) out += pattern[at++];
  return at;
}

}  // namespace

std::string python_to_pcre(std::string_view pattern, unsigned flags) {
  const bool ignore_case = flags & kIgnoreCase;
  std::string out;
  for (size_t at = 0; at < pattern.size();) {
    const char c = pattern[at];
    if (c == '\\' && at + 1 < pattern.size()) {
      const char next = pattern[at + 1];
      if (next == 's') out += fmt::format("[{}]", kSpaceSet);
      else if (next == 'S') out += fmt::format("[^{}]", kSpaceSet);
      else if (next == 'Z') out += "\\z";
      else out += pattern.substr(at, 2);
      at += 2;
    } else if (c == '[') {
      at = translate_class(pattern, at, ignore_case, out);
    } else if (const size_t length = open_repeat(pattern.substr(at)); length > 0) {
      out += "{0" + std::string(pattern.substr(at + 1, length - 1));
      at += length;
    } else if (ignore_case && (c == 'i' || c == 'I') && !(at >= 2 && pattern.substr(at - 2, 2) == "(?")) {
      out += R"([iI\x{130}\x{131}])";
      ++at;
    } else {
      out += c;
      ++at;
    }
  }
  return out;
}

struct Regex::Code {
  pcre2_code* code = nullptr;
  pcre2_match_context* limits = pcre2_match_context_create(nullptr);
  // Degenerate answers (thousands of blank lines) cost quadratic time in Python too, but they must not end an evaluation.
  Code() {
    pcre2_set_match_limit(limits, UINT32_MAX);
    pcre2_set_depth_limit(limits, UINT32_MAX);
    pcre2_set_heap_limit(limits, 1u << 20);   // KiB
  }
  ~Code() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

Regex::Regex(std::string_view pattern, unsigned flags) : code_(std::make_unique<Code>()) {
  const std::string translated = python_to_pcre(pattern, flags);
  uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_ALT_CIRCUMFLEX;
  if (flags & kIgnoreCase) options |= PCRE2_CASELESS;
  if (flags & kMultiline) options |= PCRE2_MULTILINE;
  if (flags & kVerbose) options |= PCRE2_EXTENDED;
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  int number = 0;
  size_t offset = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), options, &number, &offset, context);
  pcre2_compile_context_free(context);
  if (!code_->code) {
    char reason[256];
    pcre2_get_error_message(number, reinterpret_cast<PCRE2_UCHAR*>(reason), sizeof reason);
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("\"{}\" is not a regular expression: {}", pattern, reason),
                 .where = fmt::format("character {} of {}", offset, translated),
                 .fix = "correct the expression, or escape its special characters"});
  }
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);   // only makes it faster
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::optional<Match> Regex::run(std::string_view subject, size_t from, uint32_t options) const {
  pcre2_match_data* data = pcre2_match_data_create_from_pattern(code_->code, nullptr);
  const auto try_match = [&](uint32_t more) {
    return pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), from, options | more, data, code_->limits);
  };
  int count = try_match(0);
  // The compiled form has a small stack; the interpreter takes its memory from the heap.
  if (count == PCRE2_ERROR_JIT_STACKLIMIT) count = try_match(PCRE2_NO_JIT);
  std::optional<Match> found;
  if (count > 0) {
    found.emplace();
    found->subject = subject;
    const size_t* at = pcre2_get_ovector_pointer(data);
    const uint32_t n_groups = pcre2_get_ovector_count(data);
    for (uint32_t i = 0; i < n_groups; ++i) {
      const bool set = static_cast<int>(i) < count && at[2 * i] != PCRE2_UNSET;
      found->groups.emplace_back(set ? at[2 * i] : std::string_view::npos, set ? at[2 * i + 1] : std::string_view::npos);
    }
  }
  pcre2_match_data_free(data);
  if (count < 0 && count != PCRE2_ERROR_NOMATCH) {
    char reason[256];
    pcre2_get_error_message(count, reinterpret_cast<PCRE2_UCHAR*>(reason), sizeof reason);
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("matching a regular expression failed: {}", reason),
                 .where = fmt::format("a text of {} bytes", subject.size()),
                 .fix = "the text must be valid UTF-8 and the expression must not need unbounded backtracking"});
  }
  return found;
}

std::optional<Match> Regex::search(std::string_view subject, size_t from) const { return run(subject, from, 0); }
std::optional<Match> Regex::match(std::string_view subject) const { return run(subject, 0, PCRE2_ANCHORED); }

std::vector<Match> Regex::find_all(std::string_view subject) const {
  std::vector<Match> all;
  size_t from = 0;
  uint32_t options = 0;
  while (from <= subject.size()) {
    std::optional<Match> found = run(subject, from, options);
    if (!found) break;
    from = found->end();
    // After an empty match the next one must not be empty at the same place.
    options = PCRE2_NO_UTF_CHECK | (found->end() == found->start() ? PCRE2_NOTEMPTY_ATSTART : 0);   // checked by the first call
    all.push_back(std::move(*found));
  }
  return all;
}

std::vector<std::string> Regex::split(std::string_view subject) const {
  std::vector<std::string> pieces;
  size_t at = 0;
  for (const Match& m : find_all(subject)) {
    pieces.emplace_back(subject.substr(at, m.start() - at));
    at = m.end();
  }
  pieces.emplace_back(subject.substr(at));
  return pieces;
}

std::string Regex::replace(std::string_view subject, const std::function<std::string(const Match&)>& replacement) const {
  std::string out;
  size_t at = 0;
  for (const Match& m : find_all(subject)) {
    out += subject.substr(at, m.start() - at);
    out += replacement(m);
    at = m.end();
  }
  return out += subject.substr(at);
}

}  // namespace temper::text
