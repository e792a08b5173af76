#include "data/split_patterns.h"

#include "data/unicode.h"

namespace temper {
namespace {

/// What the patterns distinguish.  kCjk: the characters of kDeepSeekCjk; kNewline: CR and LF; kInvalid: a byte that is not UTF-8.
enum Kind : uint8_t { kEnd, kInvalid, kNone, kWord, kDigit, kSign, kBlank, kNewline, kCjk, kCombining };

struct At {
  Kind kind;
  uint32_t length;  // bytes
  char32_t code;
};

bool is_ascii_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

Kind kind_of_class(char32_t code) {
  switch (char_class(code)) {
    case kLetter: return kWord;
    case kMark: return kCombining;
    case kNumber: return kDigit;
    case kPunctuation:
    case kSymbol: return kSign;
    case kSpace: return code == '\r' || code == '\n' ? kNewline : kBlank;
    case kOther: break;
  }
  return kNone;
}

/// A cursor over one piece: everything outside it is kEnd, as for the regex engine.
class Scanner {
 public:
  Scanner(std::string_view text, Piece piece, bool split_cjk) : text_(text.substr(0, piece.end)), split_cjk_(split_cjk) {
    static const AsciiKinds kinds = make_ascii_kinds();
    ascii_ = kinds.of;
  }

  At at(uint32_t i) const {
    if (i >= text_.size()) return {kEnd, 0, 0};
    const auto byte = static_cast<uint8_t>(text_[i]);
    if (byte < 0x80) return {ascii_[byte], 1, byte};
    const Utf8Char c = utf8_at(text_, i);
    if (c.code == kInvalidUtf8) return {kInvalid, 1, c.code};
    const bool cjk = split_cjk_ && ((c.code >= 0x4E00 && c.code <= 0x9FA5) || (c.code >= 0x3040 && c.code <= 0x30FF));
    return {cjk ? kCjk : kind_of_class(c.code), c.length, c.code};
  }

  /// End of the run of characters from `i` on whose kind is in `kinds` (a bit mask).
  uint32_t run(uint32_t i, uint32_t kinds) const {
    for (At c = at(i); kinds & (1u << c.kind); c = at(i)) i += c.length;
    return i;
  }

 private:
  struct AsciiKinds {
    Kind of[128];
  };
  static AsciiKinds make_ascii_kinds() {
    AsciiKinds kinds{};
    for (char32_t c = 0; c < 128; ++c) kinds.of[c] = kind_of_class(c);
    return kinds;
  }

  std::string_view text_;
  bool split_cjk_;
  const Kind* ascii_;
};

constexpr uint32_t bit(Kind kind) { return 1u << kind; }
constexpr uint32_t kLetters = bit(kWord) | bit(kCombining);
constexpr uint32_t kSpaceBits = bit(kBlank) | bit(kNewline);
constexpr uint32_t kEnds = bit(kEnd) | bit(kInvalid);  // no match goes across bytes that are not UTF-8

/// \s+(?!\S)|\s+ at a space: the run, less its last character when a non-space follows in the same piece.
/// `ends`: kinds at which the piece ends.
uint32_t match_spaces(const Scanner& scan, uint32_t begin, uint32_t ends) {
  uint32_t last = begin, end = begin;
  for (At c = scan.at(end); kSpaceBits & bit(c.kind); c = scan.at(end)) last = end, end += c.length;
  const bool at_end = ends & bit(scan.at(end).kind);
  return at_end || last == begin ? end : last;
}

/// The end of the match of kDeepSeekWords at `begin`, or `begin` if there is none.
uint32_t match_words(const Scanner& scan, uint32_t begin, At first) {
  const uint32_t next = begin + first.length;
  switch (first.kind) {
    case kWord:
    case kCombining: return scan.run(next, kLetters);
    case kSign:
      // Every ASCII sign is in the first alternative's list.
      if (first.code < 0x80 && is_ascii_letter(scan.at(next).code)) {
        uint32_t end = next + 1;
        while (is_ascii_letter(scan.at(end).code)) ++end;
        return end;
      }
      return scan.run(scan.run(next, bit(kSign)), bit(kNewline));
    case kNone: return kLetters & bit(scan.at(next).kind) ? scan.run(next, kLetters) : begin;
    case kBlank:
    case kNewline: {
      const At second = scan.at(next);
      if (first.kind == kBlank && (kLetters & bit(second.kind))) return scan.run(next, kLetters);
      if (first.code == ' ' && second.kind == kSign) return scan.run(scan.run(next, bit(kSign)), bit(kNewline));
      // \s*[\r\n]+ gives back to the last newline of the run.
      uint32_t after_newline = begin, end = begin;
      for (At c = scan.at(end); kSpaceBits & bit(c.kind); c = scan.at(end)) {
        end += c.length;
        if (c.kind == kNewline) after_newline = end;
      }
      // Digits and CJK were cut off before: for this pattern the piece ends there.
      return after_newline > begin ? after_newline : match_spaces(scan, begin, kEnds | bit(kDigit) | bit(kCjk));
    }
    default: return begin;
  }
}

uint32_t match_contraction(const Scanner& scan, uint32_t begin) {
  const char32_t a = scan.at(begin + 1).code;
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return begin + 2;
  const char32_t b = scan.at(begin + 2).code;
  const bool two = (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l');
  return two ? begin + 3 : begin;
}

uint32_t match_gpt2(const Scanner& scan, uint32_t begin, At first) {
  constexpr uint32_t kRest = bit(kNone) | bit(kSign) | bit(kCombining);
  if (first.code == '\'') {
    if (const uint32_t end = match_contraction(scan, begin); end > begin) return end;
  }
  const At head = first.code == ' ' ? scan.at(begin + 1) : first;
  const uint32_t from = first.code == ' ' ? begin + 1 : begin;
  for (const uint32_t kinds : {bit(kWord), bit(kDigit), kRest}) {
    if (kinds & bit(head.kind)) return scan.run(from, kinds);
  }
  return kSpaceBits & bit(first.kind) ? match_spaces(scan, begin, kEnds) : begin;
}

/// Pieces are the matches and the gaps between them.  `match` gives the end of the match at a place, the place itself for none.
template <class Match>
void split_by(const Scanner& scan, Piece piece, std::vector<Piece>& out, const Match& match) {
  uint32_t gap = piece.begin;  // characters before `at` that nothing has matched begin here
  for (uint32_t at = piece.begin; at < piece.end;) {
    const At first = scan.at(at);
    const uint32_t end = match(at, first);
    if (end == at) {
      at += first.length;
      continue;
    }
    if (gap < at) out.push_back({gap, at});
    out.push_back({at, end});
    gap = at = end;
  }
  if (gap < piece.end) out.push_back({gap, piece.end});
}

}  // namespace

void split_gpt2(std::string_view text, Piece piece, std::vector<Piece>& out) {
  const Scanner scan(text, piece, /*split_cjk=*/false);
  split_by(scan, piece, out, [&](uint32_t at, At first) { return match_gpt2(scan, at, first); });
}

void split_deepseek(std::string_view text, Piece piece, std::vector<Piece>& out) {
  const Scanner scan(text, piece, /*split_cjk=*/true);
  split_by(scan, piece, out, [&](uint32_t at, At first) {
    if (first.kind == kCjk) return scan.run(at, bit(kCjk));
    if (first.kind != kDigit) return match_words(scan, at, first);
    uint32_t end = at + first.length;
    for (int n = 1; n < 3 && scan.at(end).kind == kDigit; ++n) end += scan.at(end).length;
    return end;
  });
}

}  // namespace temper
