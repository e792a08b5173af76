#pragma once

#include "base/json.h"

namespace temper {

struct IntegerBounds {
  int64_t min, max;
};

/// The whole number `object[key]` if it is within the bounds, else an error that names key, value, bounds and `where`.
int64_t json_integer(const Json& object, std::string_view key, const IntegerBounds& bounds, const std::string& where, ErrorKind kind = ErrorKind::kData);

}  // namespace temper
