#pragma once
// JSON as Python's json module reads and writes it.  The chat format was defined by that module's output, so numbers,
// spacing and escapes must be its own: integers of any size stay exact, 1.50 becomes 1.5, 1e20 becomes 1e+20.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace temper {

struct PythonJson {
  enum class Kind { kNull, kTrue, kFalse, kInteger, kFloat, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  std::string text;      // of a string; digits of an integer
  double number = 0;     // of a float; NaN and the infinities are values too
  std::vector<PythonJson> items;
  std::vector<std::pair<std::string, PythonJson>> members;  // a key once; its last value, at its first place

  bool is_object() const { return kind == Kind::kObject; }
  bool is_string() const { return kind == Kind::kString; }
};

/// json.loads(text); nothing if it would raise, for a lone surrogate, or for nesting deeper than 500.
std::optional<PythonJson> parse_python_json(std::string_view text);

/// json.dumps(value, ensure_ascii=False).
std::string python_json_text(const PythonJson& value);
/// The same for a value that is already read.
std::string python_json_text(const Json& value);
/// json.dumps of one string.
std::string python_json_string(std::string_view text);

/// repr(float): the shortest digits that read back equal; exponents below -4 and from 16 on are written out.
std::string python_float_text(double value);

}  // namespace temper
