#pragma once
// Rows of a data file, streamed: one JSON object a line (JSONL), or the whole file one JSON list.

#include <optional>

#include "data/text_reader.h"

namespace temper {

/// Reads the elements of a JSON list.  White space between them, pretty-printing and a byte order mark do not matter; of an element, never more
/// than `max_element_bytes` is held.  A longer element, or one with invalid UTF-8, is returned with its defect, and the reader goes on behind it.
/// What an element is, the caller checks.
/// Errors  Error{kData} where the list itself is broken: it does not end, a comma has no element on one side, or more text follows.
class ListReader {
 public:
  /// `bytes` stands behind the opening bracket, which is in line `line`.
  ListReader(ByteBuffer bytes, int64_t line, int64_t max_element_bytes);
  bool next(TextPiece& into);

 private:
  bool skip_blanks(char& c);   // to the next byte that is none; false at the end of the file
  void read_element(TextPiece& into);
  [[noreturn]] void fail(std::string what, std::string fix) const;

  ByteBuffer bytes_;
  int64_t line_, first_line_, row_ = 0;
  size_t max_element_bytes_;
  bool ended_ = false;
};

/// Reads either kind: the first byte that is no white space decides.
class RowReader {
 public:
  RowReader(const fs::path& path, int64_t max_row_bytes);
  /// The next row: a line that holds more than spaces, or an element (TextPiece::row is then its number).
  bool next(TextPiece& into);

 private:
  std::optional<ListReader> list_;
  std::optional<LineReader> lines_;
};

}  // namespace temper
