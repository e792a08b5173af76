#pragma once
// Lines and documents of text files, streamed: JSONL rows and plain-text corpora.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/byte_source.h"

namespace temper {

/// One line without its end (LF or CR LF), or one document of a plain-text corpus.
struct TextPiece {
  std::string text;
  int64_t line = 0;      // number of its first line in the file, from 1
  std::string defect;    // empty if good; else why it cannot be used, and `text` holds its first bytes only
};

/// The byte after which `text` stops being UTF-8 (no surrogates, nothing overlong, nothing above U+10FFFF), or npos.
size_t first_invalid_utf8(std::string_view text);

/// Reads the lines of a file.  A last line needs no line end.  A byte order mark at the start is dropped.
/// A line longer than `max_line_bytes` or with invalid UTF-8 is returned with its defect; the reader goes on behind it, and
/// never holds more than `max_line_bytes` of it.
class LineReader {
 public:
  LineReader(const fs::path& path, int64_t max_line_bytes);
  /// The next line, blank or not; false at the end.  Errors: those of ByteSource.
  bool next(TextPiece& into);
  /// The next line that holds more than spaces.
  bool next_filled(TextPiece& into);

 private:
  std::unique_ptr<ByteSource> source_;
  size_t max_line_bytes_;
  std::vector<char> chunk_;
  size_t begin_ = 0, end_ = 0;
  int64_t line_ = 0;
};

/// Reads the documents of a plain-text corpus.  A line that equals `separator` ("<|endoftext|>", "---") parts them; with ""
/// every blank line does.  Line ends inside a document are LF; blank lines at its ends are dropped.
/// A document is bad if one of its lines is, or if it is longer than `max_document_bytes`.
class DocumentReader {
 public:
  DocumentReader(const fs::path& path, std::string separator, int64_t max_document_bytes);
  /// The next document that holds more than blank lines; false at the end.
  bool next(TextPiece& into);

 private:
  LineReader lines_;
  std::string separator_;
  size_t max_document_bytes_;
};

}  // namespace temper
