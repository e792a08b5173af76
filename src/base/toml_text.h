#pragma once
// What stands between a TOML file and toml++ 3.3, whose table of Unicode blanks is undefined for many letters (U+00A1 to
// U+0499 and more): a Greek letter in a number, or behind a line-ending backslash, must not reach that table.

#include <string>
#include <string_view>

namespace temper::detail {

/// The same document in ASCII alone: characters of strings become escapes (\U000003CB; a literal string that has some becomes a
/// basic one), those of comments become "?".  Lines stay; columns do not.
/// Throws Error{kConfig} naming `where`:line for bytes that are no UTF-8, and for a character that is not ASCII outside strings
/// and comments or behind a backslash, where no TOML has one.  Other mistakes are left to the parser.
std::string ascii_toml(std::string_view text, const std::string& where);

}  // namespace temper::detail
