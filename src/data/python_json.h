#pragma once
// JSON as Python's json module reads and writes it.  The chat format was defined by that module's output, so numbers,
// spacing and escapes must be its own: integers of any size stay exact, 1.50 becomes 1.5, 1e20 becomes 1e+20.

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace temper {

/// Where a text stops being JSON.
struct JsonFault {
  size_t byte = 0;    // from 1
  std::string what;   // "" if nothing better than the place is known
};

/// json.loads(text); nothing if it would raise, for a lone surrogate, or for nesting deeper than 500.
/// A repeated key keeps its first position and takes its last value.  Infinities and NaN are numbers.  Whole numbers beyond 64 bits, which Json has no
/// type for, keep their digits (is_exact_integer): write such a value with python_json_text, not with dump().
std::optional<Json> parse_python_json(std::string_view text, JsonFault* fault = nullptr);
bool is_exact_integer(const Json& value);

/// json.dumps(value, ensure_ascii=False).
std::string python_json_text(const Json& value);
/// json.dumps of one string.
std::string python_json_string(std::string_view text);

/// repr(float): the shortest digits that read back equal; exponents below -4 and from 16 on are written out.
std::string python_float_text(double value);

}  // namespace temper
