#include "data/python_json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/json_checks.h"
#include "data/unicode.h"

namespace temper {
namespace {

constexpr size_t kMaxIntegerDigits = 4300;  // Python refuses longer ones

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<PythonJson> whole() {
    PythonJson value;
    skip_blanks();
    if (!read(value, 0)) return std::nullopt;
    skip_blanks();
    if (at_ != text_.size()) return std::nullopt;
    return value;
  }

 private:
  using Kind = PythonJson::Kind;

  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  bool read(PythonJson& into, int depth) {
    if (depth > kMaxJsonDepth) return false;
    switch (peek()) {
      case '{': return read_object(into, depth);
      case '[': return read_array(into, depth);
      case '"': into.kind = Kind::kString; return read_string(into.text);
      default: break;
    }
    struct Word {
      std::string_view text;
      Kind kind;
      double number;
    };
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    for (const Word& word : {Word{"null", Kind::kNull, 0}, Word{"true", Kind::kTrue, 0}, Word{"false", Kind::kFalse, 0},
                             Word{"NaN", Kind::kFloat, std::nan("")}, Word{"Infinity", Kind::kFloat, kInfinity}, Word{"-Infinity", Kind::kFloat, -kInfinity}}) {
      if (!take(word.text)) continue;
      into.kind = word.kind;
      into.number = word.number;
      return true;
    }
    return read_number(into);
  }

  size_t digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ - begin;
  }

  bool read_number(PythonJson& into) {
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
    const std::string number(text_.substr(begin, at_ - begin));
    into.kind = is_float ? Kind::kFloat : Kind::kInteger;
    if (is_float) into.number = std::strtod(number.c_str(), nullptr);
    else into.text = number == "-0" ? "0" : number;
    return is_float || number.size() <= kMaxIntegerDigits;
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
    if (c != 'u' || !read_hex4(code)) return false;
    if (code >= 0xD800 && code < 0xE000) {
      if (code >= 0xDC00 || !take("\\u") || !read_hex4(low) || low < 0xDC00 || low > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(into, code);
    return true;
  }

  bool read_string(std::string& into) {
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<uint8_t>(c) < 0x20) return false;
      if (c != '\\') into.push_back(c);
      else if (!read_escape(into)) return false;
    }
    return false;
  }

  bool read_array(PythonJson& into, int depth) {
    into.kind = Kind::kArray;
    ++at_;
    skip_blanks();
    if (take("]")) return true;
    while (true) {
      skip_blanks();
      if (!read(into.items.emplace_back(), depth + 1)) return false;
      skip_blanks();
      if (take("]")) return true;
      if (!take(",")) return false;
    }
  }

  bool read_object(PythonJson& into, int depth) {
    into.kind = Kind::kObject;
    ++at_;
    skip_blanks();
    if (take("}")) return true;
    while (true) {
      std::string key;
      PythonJson value;
      skip_blanks();
      if (peek() != '"' || !read_string(key)) return false;
      skip_blanks();
      if (!take(":")) return false;
      skip_blanks();
      if (!read(value, depth + 1)) return false;
      put(into, std::move(key), std::move(value));
      skip_blanks();
      if (take("}")) return true;
      if (!take(",")) return false;
    }
  }

  static void put(PythonJson& object, std::string key, PythonJson value) {
    for (auto& [known, old] : object.members) {
      if (known != key) continue;
      old = std::move(value);
      return;
    }
    object.members.emplace_back(std::move(key), std::move(value));
  }

  std::string_view text_;
  size_t at_ = 0;
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

void append_value(std::string& out, const PythonJson& value) {
  using Kind = PythonJson::Kind;
  switch (value.kind) {
    case Kind::kNull: out += "null"; break;
    case Kind::kTrue: out += "true"; break;
    case Kind::kFalse: out += "false"; break;
    case Kind::kInteger: out += value.text; break;
    case Kind::kFloat: out += python_float_text(value.number); break;
    case Kind::kString: append_string(out, value.text); break;
    case Kind::kArray:
      out += '[';
      for (size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out += ", ";
        append_value(out, value.items[i]);
      }
      out += ']';
      break;
    case Kind::kObject:
      out += '{';
      for (size_t i = 0; i < value.members.size(); ++i) {
        if (i > 0) out += ", ";
        append_string(out, value.members[i].first);
        out += ": ";
        append_value(out, value.members[i].second);
      }
      out += '}';
      break;
  }
}

PythonJson from_json(const Json& json) {
  using Kind = PythonJson::Kind;
  PythonJson value;
  if (json.is_boolean()) {
    value.kind = json.get<bool>() ? Kind::kTrue : Kind::kFalse;
  } else if (json.is_number_float()) {
    value.kind = Kind::kFloat;
    value.number = json.get<double>();
  } else if (json.is_number()) {
    value.kind = Kind::kInteger;
    value.text = json.dump();
  } else if (json.is_string()) {
    value.kind = Kind::kString;
    value.text = json.get<std::string>();
  } else if (json.is_array()) {
    value.kind = Kind::kArray;
    for (const Json& item : json) value.items.push_back(from_json(item));
  } else if (json.is_object()) {
    value.kind = Kind::kObject;
    for (const auto& [key, item] : json.items()) value.members.emplace_back(key, from_json(item));
  }
  return value;
}

}  // namespace

std::optional<PythonJson> parse_python_json(std::string_view text) { return Parser(text).whole(); }

std::string python_json_text(const PythonJson& value) {
  std::string out;
  append_value(out, value);
  return out;
}

std::string python_json_text(const Json& value) { return python_json_text(from_json(value)); }

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
