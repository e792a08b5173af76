#pragma once
// The suites' data (prompts, Punkt tables, language profiles), linked into the program: a binary needs no folder beside it.

#include <string>
#include <string_view>
#include <vector>

namespace temper {

/// The content of src/eval/data/<name>.  Error{kInternal} if there is no such file.  Valid for the life of the process.
std::string_view embedded_file(std::string_view name);

/// Names that start with `prefix`, sorted.
std::vector<std::string> embedded_names(std::string_view prefix);

}  // namespace temper
