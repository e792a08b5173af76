#include "eval/ifeval/python_json.h"

#include <string>

namespace temper {
namespace {

constexpr int kDeepest = 900;          // Python's own limit is its recursion limit, about 1,000
constexpr size_t kLongestInteger = 4300;   // digits; int() refuses longer ones

// A recogniser: each function moves past what it accepts or returns false.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool document() {
    skip_space();
    if (!value(0)) return false;
    skip_space();
    return at_ == text_.size();
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) { return peek() == c && at_ < text_.size() ? (++at_, true) : false; }
  bool take(std::string_view word) { return text_.substr(at_).starts_with(word) ? (at_ += word.size(), true) : false; }
  void skip_space() {
    while (at_ < text_.size() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')) ++at_;
  }
  static bool digit(char c) { return c >= '0' && c <= '9'; }

  bool value(int depth) {
    if (depth > kDeepest) return false;
    if (take('"')) return string();
    if (take('{')) return object(depth);
    if (take('[')) return array(depth);
    for (const std::string_view word : {"null", "true", "false", "NaN", "Infinity", "-Infinity"})
      if (take(word)) return true;
    return number();
  }

  // Behind the opening quote.
  bool string() {
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') continue;
      if (at_ == text_.size()) return false;
      const char escape = text_[at_++];
      if (escape == 'u') {
        for (int i = 0; i < 4; ++i, ++at_)
          if (at_ >= text_.size() || std::string_view("0123456789abcdefABCDEF").find(text_[at_]) == std::string_view::npos) return false;
      } else if (std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) {
        return false;
      }
    }
    return false;
  }

  bool object(int depth) {
    skip_space();
    if (take('}')) return true;
    do {
      skip_space();
      if (!take('"') || !string()) return false;
      skip_space();
      if (!take(':')) return false;
      skip_space();
      if (!value(depth + 1)) return false;
      skip_space();
    } while (take(','));
    return take('}');
  }

  bool array(int depth) {
    skip_space();
    if (take(']')) return true;
    do {
      skip_space();
      if (!value(depth + 1)) return false;
      skip_space();
    } while (take(','));
    return take(']');
  }

  bool number() {
    take('-');
    const size_t first = at_;
    if (!take('0')) {
      if (!digit(peek())) return false;
      while (digit(peek())) ++at_;
    }
    const size_t n_digits = at_ - first;
    bool whole = true;
    if (peek() == '.' && at_ + 1 < text_.size() && digit(text_[at_ + 1])) {
      whole = false;
      ++at_;
      while (digit(peek())) ++at_;
    }
    if (peek() == 'e' || peek() == 'E') {
      size_t digits = at_ + 1;
      if (digits < text_.size() && (text_[digits] == '+' || text_[digits] == '-')) ++digits;
      if (digits < text_.size() && digit(text_[digits])) {
        whole = false;
        at_ = digits;
        while (digit(peek())) ++at_;
      }
    }
    return !whole || n_digits <= kLongestInteger;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

bool python_accepts_json(std::string_view text) { return Reader(text).document(); }

}  // namespace temper
