#include "data/row_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "data/file_kind.h"

namespace temper {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

ListReader::ListReader(ByteBuffer bytes, int64_t line, int64_t max_element_bytes)
    : bytes_(std::move(bytes)), line_(line), first_line_(line), max_element_bytes_(static_cast<size_t>(max_element_bytes)) {}

void ListReader::fail(std::string what, std::string fix) const {
  throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = fmt::format("{}:{}", bytes_.path().string(), line_), .fix = std::move(fix)});
}

bool ListReader::skip_blanks(char& c) {
  while (bytes_.fill()) {
    for (const char next : bytes_.rest()) {
      if (!is_space(next)) {
        c = next;
        return true;
      }
      line_ += next == '\n';
      bytes_.skip(1);
    }
  }
  return false;
}

bool ListReader::next(TextPiece& into) {
  char c = 0;
  const bool more = skip_blanks(c);
  if (ended_) {
    if (more)
      fail(fmt::format("behind the end of the list that began in line {} more follows: the file holds several lists, or rows that are lists", first_line_),
           "write one list of all rows, or JSONL: one object a line");
    return false;
  }
  if (!more) fail(fmt::format("the list that began in line {} does not end: the file is cut off, or a string in it is not closed", first_line_), "copy the file again, or repair it: a list ends with ]");
  if (c == ',' && row_ > 0) {
    bytes_.skip(1);
    if (!skip_blanks(c)) return next(into);   // says that the list does not end
    if (c == ']') fail("a comma stands before the end of the list", "take the comma away, or write the row that is missing");
  } else if (c == ']') {
    bytes_.skip(1);
    ended_ = true;
    return next(into);
  }
  if (c == ',') fail("a comma of the list has no row before it", "take the comma away, or write the row that is missing");
  read_element(into);
  return true;
}

/// Up to the comma or bracket that ends it, which stays.
void ListReader::read_element(TextPiece& into) {
  into = {.text = "", .line = line_, .row = ++row_, .defect = ""};
  int64_t depth = 0;
  bool in_string = false, escaped = false, done = false;
  size_t length = 0;
  while (!done && bytes_.fill()) {
    const std::string_view rest = bytes_.rest();
    size_t n = 0;
    for (; n < rest.size(); ++n) {
      const char c = rest[n];
      line_ += c == '\n';
      if (in_string) {
        in_string = escaped || c != '"';
        escaped = !escaped && c == '\\';
        continue;
      }
      if (depth == 0 && (c == ',' || c == ']' || c == '}')) {
        done = true;
        break;
      }
      if (c == '"') in_string = true;
      else if (c == '[' || c == '{') ++depth;
      else if (c == ']' || c == '}') --depth;
    }
    length += n;
    if (into.text.size() < max_element_bytes_) into.text.append(rest.substr(0, std::min(n, max_element_bytes_ - into.text.size())));
    bytes_.skip(n);
  }
  if (!done) fail(fmt::format("row {} of the list, which began in line {}, does not end: the file is cut off, or a string in it is not closed", row_, into.line), "copy the file again, or repair that row");
  if (bytes_.rest()[0] == '}') fail(fmt::format("behind row {} of the list stands a }} that closes nothing", row_), "repair the row or take the bracket away");
  if (length > max_element_bytes_) {
    into.cut(fmt::format("the row has {} bytes, the limit max_line_bytes is {}", length, max_element_bytes_));
    return;
  }
  into.text.resize(into.text.find_last_not_of(" \t\r\n") + 1);
  into.check_utf8();
}

RowReader::RowReader(const fs::path& path, int64_t max_row_bytes) {
  refuse_table(path);
  ByteBuffer bytes(path);
  bytes.skip_byte_order_mark();
  if (bytes.fill()) refuse_foreign_file(path, bytes.rest().substr(0, kHeadBytes));   // inside gzip or zstd
  // White space at the start may be longer than a chunk; lines are counted over it.
  int64_t line = 1;
  while (bytes.fill()) {
    const std::string_view rest = bytes.rest();
    const size_t n = std::min(rest.find_first_not_of(" \t\r\n"), rest.size());
    line += std::count(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(n), '\n');
    bytes.skip(n);
    if (n < rest.size()) break;
  }
  if (bytes.fill() && bytes.rest()[0] == '[') {
    bytes.skip(1);
    list_.emplace(std::move(bytes), line, max_row_bytes);
  } else {
    lines_.emplace(std::move(bytes), line, max_row_bytes);
  }
}

bool RowReader::next(TextPiece& into) { return list_ ? list_->next(into) : lines_->next_filled(into); }

}  // namespace temper
