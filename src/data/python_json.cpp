#include "data/python_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "base/json_checks.h"
#include "data/unicode.h"

namespace temper {
namespace {

constexpr size_t kMaxIntegerDigits = 4300;  // Python refuses longer ones

/// The digits of a whole number that no number type of Json holds.
Json exact_integer(std::string_view digits) { return Json::binary({digits.begin(), digits.end()}); }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Json> whole(JsonFault* fault) {
    Json value;
    skip_blanks();
    const bool read_one = read(value, 0);
    if (read_one) skip_blanks();
    if (read_one && at_ == text_.size()) return value;
    if (fault) *fault = {.byte = std::min(at_, text_.size()) + 1, .what = at_ >= text_.size() && reason_.empty() ? "the text ends inside it" : reason_};
    return std::nullopt;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  bool refuse(const char* reason) {
    reason_ = reason;
    return false;
  }

  bool read(Json& into, int depth) {
    if (depth > kMaxJsonDepth) return refuse("it is nested too deep");
    switch (peek()) {
      case '{': return read_object(into, depth);
      case '[': return read_array(into, depth);
      case '"': return read_string(into);
      case '\'': return refuse("strings need double quotes");
      default: break;
    }
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const std::pair<std::string_view, Json> words[] = {{"null", nullptr}, {"true", true}, {"false", false}, {"NaN", std::nan("")}, {"Infinity", kInfinity}, {"-Infinity", -kInfinity}};
    for (const auto& [word, value] : words) {
      if (!take(word)) continue;
      into = value;
      return true;
    }
    return read_number(into);
  }

  size_t digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ - begin;
  }

  bool read_number(Json& into) {
    const size_t begin = at_;
    take("-");
    const bool zero = peek() == '0';
    if (zero) ++at_;
    else if (digits() == 0) return false;
    bool is_float = false;
    // A point or an exponent without digits is not part of the number; what follows is then an error of the caller.
    for (const bool exponent : {false, true}) {
      const size_t mark = at_;
      const bool here = exponent ? take("e") || take("E") : take(".");
      if (!here) continue;
      if (exponent && !take("+")) take("-");
      if (digits() == 0) at_ = mark;
      else is_float = true;
    }
    const std::string_view number = text_.substr(begin, at_ - begin);
    if (is_float) into = std::strtod(std::string(number).c_str(), nullptr);
    else if (number.size() > kMaxIntegerDigits) return refuse("a number has more digits than Python reads");
    else read_integer(number, into);
    return true;
  }

  static void read_integer(std::string_view number, Json& into) {
    const char *begin = number.data(), *end = begin + number.size();
    int64_t narrow = 0;
    uint64_t wide = 0;
    if (std::from_chars(begin, end, narrow).ec == std::errc()) into = narrow;
    else if (number[0] != '-' && std::from_chars(begin, end, wide).ec == std::errc()) into = wide;
    else into = exact_integer(number);
  }

  bool read_hex4(uint32_t& code) {
    if (text_.size() - at_ < 4) return false;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, begin + 4, code, 16);
    at_ += 4;
    return error == std::errc() && end == begin + 4;
  }

  bool read_escape(std::string& into) {
    const char c = peek();
    ++at_;
    constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
    if (const size_t found = kNames.find(c); c != '\0' && found != std::string_view::npos) {
      into.push_back(kValues[found]);
      return true;
    }
    uint32_t code = 0, low = 0;
    if (c != 'u' || !read_hex4(code)) return refuse("an unknown escape");
    if (code >= 0xD800 && code < 0xE000) {
      if (code >= 0xDC00 || !take("\\u") || !read_hex4(low) || low < 0xDC00 || low > 0xDFFF) return refuse("half a character (a lone surrogate)");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(into, code);
    return true;
  }

  bool read_text(std::string& into) {
    ++at_;
    while (at_ < text_.size()) {
      size_t end = at_;
      while (end < text_.size() && text_[end] != '"' && text_[end] != '\\' && static_cast<uint8_t>(text_[end]) >= 0x20) ++end;
      into.append(text_, at_, end - at_);
      at_ = end;
      if (peek() == '"') {
        ++at_;
        return true;
      }
      if (at_ == text_.size()) break;
      if (peek() != '\\') return refuse("a control character in a string (write a line break as \\n)");
      ++at_;
      if (!read_escape(into)) return false;
    }
    return false;
  }

  bool read_string(Json& into) {
    into = std::string();
    return read_text(into.get_ref<std::string&>());
  }

  bool read_array(Json& into, int depth) {
    into = Json::array();
    ++at_;
    skip_blanks();
    if (take("]")) return true;
    while (true) {
      skip_blanks();
      if (!read(into.emplace_back(), depth + 1)) return false;
      skip_blanks();
      if (take("]")) return true;
      if (!take(",")) return false;
    }
  }

  bool read_object(Json& into, int depth) {
    into = Json::object();
    ++at_;
    skip_blanks();
    if (take("}")) return true;
    while (true) {
      std::string key;
      skip_blanks();
      if (peek() == '\'') return refuse("strings need double quotes");
      if (peek() != '"' || !read_text(key)) return false;
      skip_blanks();
      if (!take(":")) return false;
      skip_blanks();
      if (!read(into[key], depth + 1)) return false;   // a key that comes again keeps its first place
      skip_blanks();
      if (take("}")) return true;
      if (!take(",")) return false;
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string reason_;
};

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\f': out += "\\f"; break;
      case '\b': out += "\\b"; break;
      default:
        if (static_cast<uint8_t>(c) < 0x20) out += fmt::format("\\u{:04x}", static_cast<uint8_t>(c));
        else out += c;
    }
  }
  out += '"';
}

void append_value(std::string& out, const Json& value) {
  if (value.is_string()) {
    append_string(out, value.get_ref<const std::string&>());
  } else if (value.is_number_float()) {
    out += python_float_text(value.get<double>());
  } else if (is_exact_integer(value)) {
    out.append(value.get_binary().begin(), value.get_binary().end());
  } else if (value.is_array()) {
    const char* comma = "";
    out += '[';
    for (const Json& item : value) {
      out += comma;
      append_value(out, item);
      comma = ", ";
    }
    out += ']';
  } else if (value.is_object()) {
    const char* comma = "";
    out += '{';
    for (const auto& [key, item] : value.items()) {
      out += comma;
      append_string(out, key);
      out += ": ";
      append_value(out, item);
      comma = ", ";
    }
    out += '}';
  } else {
    out += value.dump();
  }
}

}  // namespace

std::optional<Json> parse_python_json(std::string_view text, JsonFault* fault) { return Parser(text).whole(fault); }

bool is_exact_integer(const Json& value) { return value.is_binary(); }

std::string python_json_text(const Json& value) {
  std::string out;
  append_value(out, value);
  return out;
}

std::string python_json_string(std::string_view text) {
  std::string out;
  append_string(out, text);
  return out;
}

std::string python_float_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char buffer[64];
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(written.ptr - buffer));  // "-d.ddde+XX", shortest
  const size_t e = text.find('e');
  const std::string sign = text.starts_with('-') ? "-" : "";
  std::string digits;
  for (const char c : text.substr(sign.size(), e - sign.size())) {
    if (c != '.') digits += c;
  }
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) {
    const std::string fraction = digits.size() > 1 ? "." + digits.substr(1) : "";
    return fmt::format("{}{}{}e{}{:02}", sign, digits[0], fraction, exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return fmt::format("{}0.{}{}", sign, std::string(static_cast<size_t>(-exponent - 1), '0'), digits);
  const auto n_whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= n_whole) return fmt::format("{}{}{}.0", sign, digits, std::string(n_whole - digits.size(), '0'));
  return fmt::format("{}{}.{}", sign, digits.substr(0, n_whole), digits.substr(n_whole));
}

}  // namespace temper
