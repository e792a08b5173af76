#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace temper {

/// The records of a CSV text (RFC 4180: quoted fields may hold commas, doubled quotes and line breaks).  A byte-order mark is skipped.
/// Errors  Error{kData} with `where`:line for a quote that is never closed, and for records that are longer or shorter than the first.
std::vector<std::vector<std::string>> parse_csv(std::string_view text, const std::string& where);

}  // namespace temper
