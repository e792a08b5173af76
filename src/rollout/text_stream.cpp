#include "rollout/text_stream.h"

#include <algorithm>

namespace temper {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Utf8Piece {
  size_t length;              // bytes
  bool valid, unfinished;     // unfinished: a correct beginning that the end of the text cuts
};

// The character (or invalid byte run) at the start of `bytes`; Unicode 15, table 3-7.
Utf8Piece next_piece(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return {1, true, false};
  size_t need = 0;
  unsigned char low = 0x80, high = 0xBF;   // bounds of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) need = 2;
  else if (lead >= 0xE0 && lead <= 0xEF) {
    need = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    need = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else return {1, false, false};
  for (size_t i = 1; i < need; ++i) {
    if (i >= bytes.size()) return {i, false, true};
    if (at(i) < low || at(i) > high) return {i, false, false};
    low = 0x80, high = 0xBF;
  }
  return {need, true, false};
}

// Length of the part of `text` before a character that the end cuts.
size_t whole_characters(std::string_view text) {
  const size_t from = text.size() > 3 ? text.size() - 3 : 0;
  for (size_t start = from; start < text.size(); ++start) {
    if ((static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) continue;   // not a first byte
    if (next_piece(text.substr(start)).unfinished) return start;
  }
  return text.size();
}

// How many bytes at the end of `text` are a proper beginning of `stop`.
size_t overlap(std::string_view text, std::string_view stop) {
  for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n)
    if (text.substr(text.size() - n) == stop.substr(0, n)) return n;
  return 0;
}

}  // namespace

std::string valid_utf8(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const Utf8Piece piece = next_piece(bytes);
    out += piece.valid ? bytes.substr(0, piece.length) : kReplacement;
    bytes.remove_prefix(piece.length);
  }
  return out;
}

TextStream::TextStream(std::vector<std::string> stop_strings) : stop_strings_(std::move(stop_strings)) {
  std::erase_if(stop_strings_, [](const std::string& stop) { return stop.empty(); });
}

std::string TextStream::push(std::string_view bytes) {
  if (stopped_) return {};
  const size_t before = text_.size();
  text_ += bytes;
  size_t end = std::string::npos;
  for (const std::string& stop : stop_strings_) {
    const size_t from = before > stop.size() ? before - stop.size() : 0;
    end = std::min(end, text_.find(stop, from));
  }
  if (end != std::string::npos) {
    stopped_ = true;
    text_.resize(end);
    return finish();
  }
  size_t hold = 0;
  for (const std::string& stop : stop_strings_) hold = std::max(hold, overlap(text_, stop));
  const size_t safe = std::max(shown_, std::min(text_.size() - hold, whole_characters(text_)));
  const std::string shown = valid_utf8(std::string_view(text_).substr(shown_, safe - shown_));
  shown_ = safe;
  return shown;
}

std::string TextStream::finish() {
  const std::string rest = valid_utf8(std::string_view(text_).substr(std::min(shown_, text_.size())));
  shown_ = text_.size();
  return rest;
}

}  // namespace temper
