#include "base/toml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace temper::detail {
namespace {

/// Walks over a document once, construct by construct, and copies it.
class TomlScanner {
 public:
  TomlScanner(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  std::string run() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;   // a byte order mark
    while (!done()) {
      const char c = text_[at_];
      if (c == '#') comment();
      else if (c == '"' || c == '\'') string(c);
      else plain();
    }
    return std::move(out_);
  }

 private:
  bool done() const { return at_ >= text_.size(); }
  void copy(size_t bytes) {
    out_ += text_.substr(at_, bytes);
    at_ = std::min(at_ + bytes, text_.size());
  }

  Utf8Char character() const {
    const Utf8Char c = utf8_at(text_, at_);
    if (c.code == kInvalidUtf8)
      refuse(fmt::format("the byte 0x{:02x} is not valid UTF-8", static_cast<unsigned char>(text_[at_])), "save the file as UTF-8");
    return c;
  }

  void plain() {
    const Utf8Char c = character();
    if (c.code >= 0x80)
      refuse(fmt::format("the character {} (U+{:04X}) stands outside quotes", text_.substr(at_, c.length), static_cast<uint32_t>(c.code)),
             "put the text in quotes, and use plain ASCII characters around it");
    copy(1);
  }

  void comment() {
    while (!done() && text_[at_] != '\n') {
      const Utf8Char c = character();
      out_ += c.code < 0x80 ? static_cast<char>(c.code) : '?';
      at_ += c.length;
    }
  }

  /// A string that begins here, in one of the four forms.
  void string(char quote) {
    const size_t n_quotes = text_.substr(at_, 3) == std::string(3, quote) ? 3 : 1;
    const auto [content_end, end] = end_of_string(at_ + n_quotes, quote, n_quotes);
    const std::string_view whole = text_.substr(at_, end - at_);
    if (std::none_of(whole.begin(), whole.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) return copy(whole.size());
    out_.append(n_quotes, '"');
    at_ += n_quotes;
    while (at_ < content_end) quote == '"' ? basic_character() : literal_character();
    out_.append(end - content_end, '"');
    at_ = end;
  }

  /// Where the content and the string end; both the same if nothing closes it.  One line's string ends with its line at the latest.
  std::pair<size_t, size_t> end_of_string(size_t at, char quote, size_t n_quotes) const {
    while (at < text_.size()) {
      if (text_[at] == '\n' && n_quotes == 1) return {at, at};
      if (text_[at] == '\\' && quote == '"') {
        at += text_.substr(at + 1).starts_with('\n') ? 1 : 2;
      } else if (text_[at] == quote) {
        if (n_quotes == 1) return {at, at + 1};
        size_t run = 1;   // up to two quotes may stand before the three that close it
        while (run < 5 && text_.substr(at + run).starts_with(quote)) ++run;
        if (run >= 3) return {at + run - 3, at + run};
        at += run;
      } else {
        ++at;
      }
    }
    return {text_.size(), text_.size()};
  }

  void basic_character() {
    if (text_[at_] != '\\') return escaped_character();
    copy(1);
    if (done()) return;
    if (character().code >= 0x80) refuse("a backslash stands before a character that has no escape", "write two backslashes for one, or use single quotes");
    copy(1);
  }

  void literal_character() {
    if (text_[at_] == '\\' || text_[at_] == '"') out_ += '\\';
    escaped_character();
  }

  void escaped_character() {
    const Utf8Char c = character();
    if (c.code < 0x80) return copy(1);
    out_ += fmt::format("\\U{:08X}", static_cast<uint32_t>(c.code));
    at_ += c.length;
  }

  [[noreturn]] void refuse(const std::string& what, const std::string& fix) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    throw Error({.kind = ErrorKind::kConfig, .what = "not valid TOML: " + what, .where = fmt::format("{}:{}", where_, line), .fix = fix});
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string ascii_toml(std::string_view text, const std::string& where) { return TomlScanner(text, where).run(); }

}  // namespace temper::detail
