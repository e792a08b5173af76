#pragma once
// Lines and documents of text files, streamed: JSONL rows and plain-text corpora.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "data/byte_source.h"

namespace temper {

/// One line without its end (LF or CR LF), one document of a plain-text corpus, or one row of a JSON list.
struct TextPiece {
  std::string text;
  int64_t line = 0;      // number of its first line in the file, from 1
  int64_t row = 0;       // its number in a list, from 1; 0 = not of a list
  std::string defect;    // empty if good; else why it cannot be used, and `text` holds its first bytes only

  /// Makes it a piece that cannot be used.
  void cut(std::string why);
  /// Cuts it if it is not UTF-8.
  void check_utf8();
  /// "file:12", or "file:1, row 3".
  std::string place(const std::string& file) const;
};

/// The byte after which `text` stops being UTF-8 (no surrogates, nothing overlong, nothing above U+10FFFF), or npos.
size_t first_invalid_utf8(std::string_view text);

/// The bytes of a file, some at a time.
class ByteBuffer {
 public:
  explicit ByteBuffer(const fs::path& path);
  /// Reads on if nothing is left; false at the end of the file.
  bool fill();
  std::string_view rest() const { return std::string_view(chunk_).substr(begin_, end_ - begin_); }
  void skip(size_t n) { begin_ += n; }
  /// At the start of the file.
  void skip_byte_order_mark();
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::unique_ptr<ByteSource> source_;
  std::string chunk_;
  size_t begin_ = 0, end_ = 0;
};

/// Reads the lines of a file.  A last line needs no line end.  A byte order mark at the start is dropped.
/// A line longer than `max_line_bytes` or with invalid UTF-8 is returned with its defect; the reader goes on behind it, and
/// never holds more than `max_line_bytes` of it.
class LineReader {
 public:
  LineReader(const fs::path& path, int64_t max_line_bytes);
  /// Goes on where `bytes` stand, in line `line`.
  LineReader(ByteBuffer bytes, int64_t line, int64_t max_line_bytes);
  /// The next line, blank or not; false at the end.  Errors: those of ByteSource.
  bool next(TextPiece& into);
  /// The next line that holds more than spaces.
  bool next_filled(TextPiece& into);

 private:
  ByteBuffer bytes_;
  size_t max_line_bytes_;
  int64_t line_ = 0;     // lines read
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
