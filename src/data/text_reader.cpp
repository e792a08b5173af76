#include "data/text_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/interrupt.h"

#include "base/interrupt.h"

namespace temper {
namespace {

constexpr size_t kReadBytes = size_t{1} << 18;
constexpr size_t kShownBytes = 80;   // of a piece that cannot be used

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\v\f") == std::string_view::npos; }

/// Length of the UTF-8 sequence at the start of `text`, 0 if there is none (Unicode 15, table 3-7).
size_t sequence_length_at(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](size_t i, unsigned low = 0x80, unsigned high = 0xbf) { return byte(i) >= low && byte(i) <= high; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

size_t first_invalid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    uint64_t eight;
    if (i + 8 <= text.size() && (std::memcpy(&eight, text.data() + i, 8), (eight & 0x8080808080808080ull) == 0)) {
      i += 8;
      continue;
    }
    const size_t length = sequence_length_at(text.substr(i, 4));
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

void TextPiece::cut(std::string why) {
  defect = std::move(why);
  text.resize(std::min(text.size(), kShownBytes));
  text.shrink_to_fit();
}

void TextPiece::check_utf8() {
  const size_t bad = first_invalid_utf8(text);
  if (bad == std::string_view::npos) return;
  defect = fmt::format("byte {} (0x{:02x}) is not UTF-8", bad + 1, static_cast<unsigned char>(text[bad]));
  text.resize(std::min({text.size(), bad, kShownBytes}));
}

std::string TextPiece::place(const std::string& file) const { return row == 0 ? fmt::format("{}:{}", file, line) : fmt::format("{}:{}, row {}", file, line, row); }

ByteBuffer::ByteBuffer(const fs::path& path) : path_(path), source_(open_bytes(path)), chunk_(kReadBytes, '\0') {}

bool ByteBuffer::fill() {
  if (begin_ < end_) return true;
  check_interrupt();
  begin_ = 0;
  end_ = source_->read(chunk_);
  return end_ > 0;
}

void ByteBuffer::skip_byte_order_mark() {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  // A source may give fewer bytes than asked for, a pipe even one at a time.
  while (end_ < kMark.size()) {
    const size_t n = source_->read(std::span(chunk_).subspan(end_));
    if (n == 0) break;
    end_ += n;
  }
  if (rest().starts_with(kMark)) skip(kMark.size());
}

LineReader::LineReader(const fs::path& path, int64_t max_line_bytes) : LineReader(ByteBuffer(path), 1, max_line_bytes) { bytes_.skip_byte_order_mark(); }

LineReader::LineReader(ByteBuffer bytes, int64_t line, int64_t max_line_bytes)
    : bytes_(std::move(bytes)), max_line_bytes_(static_cast<size_t>(max_line_bytes)), line_(line - 1) {}

bool LineReader::next(TextPiece& into) {
  check_interrupt();   // a file may hold millions of blank lines
  into = {.text = "", .line = line_ + 1, .defect = ""};
  bool found = false, complete = false;
  size_t length = 0;
  while (!complete && bytes_.fill()) {
    found = true;
    const std::string_view rest = bytes_.rest();
    const size_t newline = rest.find('\n'), n = std::min(newline, rest.size());
    complete = newline != std::string_view::npos;
    length += n;
    if (into.text.size() < max_line_bytes_) into.text.append(rest.substr(0, std::min(n, max_line_bytes_ - into.text.size())));
    bytes_.skip(n + (complete ? 1 : 0));
  }
  if (!found) return false;
  ++line_;
  if (length > max_line_bytes_) {
    into.cut(fmt::format("the line has {} bytes, the limit max_line_bytes is {}", length, max_line_bytes_));
    return true;
  }
  if (into.text.ends_with('\r')) into.text.pop_back();
  into.check_utf8();
  return true;
}

bool LineReader::next_filled(TextPiece& into) {
  while (next(into))
    if (!into.defect.empty() || !is_blank(into.text)) return true;
  return false;
}

DocumentReader::DocumentReader(const fs::path& path, std::string separator, int64_t max_document_bytes)
    : lines_(path, max_document_bytes), separator_(std::move(separator)), max_document_bytes_(static_cast<size_t>(max_document_bytes)) {}

bool DocumentReader::next(TextPiece& into) {
  into = {};
  TextPiece line;
  size_t length = 0, filled = 0;   // `filled`: end of the last line that is not blank
  while (lines_.next(line)) {
    const bool parts = line.defect.empty() && (separator_.empty() ? is_blank(line.text) : line.text == separator_);
    if (parts) {
      if (into.line > 0) break;
      continue;
    }
    if (into.line == 0) {
      if (line.defect.empty() && is_blank(line.text)) continue;
      into.line = line.line;
    }
    if (into.defect.empty() && !line.defect.empty()) into.defect = fmt::format("line {}: {}", line.line, line.defect);
    length += line.text.size() + 1;
    if (length <= max_document_bytes_) {
      into.text += line.text;
      if (!is_blank(line.text)) filled = into.text.size();
      into.text += '\n';
    }
  }
  if (into.line == 0) return false;
  if (into.defect.empty() && length > max_document_bytes_)
    into.defect = fmt::format("the document has {} bytes, the limit max_line_bytes is {}; is the separator right?", length, max_document_bytes_);
  into.text.resize(into.defect.empty() ? filled : std::min(filled, kShownBytes));
  return true;
}

}  // namespace temper
