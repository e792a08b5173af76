#pragma once
// What a person reads: results on standard output, and texts from files made safe for a terminal.

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace temper {

/// `text` as a terminal may show it: control characters, marks that reverse the direction of writing, and bytes that are not
/// UTF-8 become \x1b, \u202e, \xff.  Characters of `kept` ("\n\t") stay.
std::string printable(std::string_view text, std::string_view kept = "");

/// A text of more than `most_bytes` without its middle, with the number of bytes left out.
std::string shortened(std::string_view text, size_t most_bytes = 1000);

/// Writes exactly these bytes to standard output, at once.
/// Errors  kResource (a full disk); ReaderGone where the reader of a pipe has gone
void write_output(std::string_view bytes);

/// A result for people: printable text with line breaks and tabs.
void print_text(std::string_view text);
template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  print_text(fmt::format(format, std::forward<Args>(args)...));
}

/// The place of errors that name none: "temper generate".
void set_program_place(std::string place);

/// Writes what the C and C++ streams of standard output still hold; errors as write_output, also those of earlier writes.
void finish_output();

/// The printable text on standard error; nothing helps where that fails.
void print_error(std::string_view text);

/// Opens standard streams that the caller closed on /dev/null: a file opened later would get their numbers, and log lines.
void open_closed_streams();

}  // namespace temper
