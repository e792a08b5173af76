#include "eval/text/punkt.h"

#include <charconv>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "eval/data.h"
#include "eval/text/regex.h"
#include "eval/text/unicode.h"

namespace temper::text {
namespace {

// In which contexts a word type was seen while the tables were trained.
constexpr int kSentenceStartUpper = 1 << 1, kInsideUpper = 1 << 2, kUnknownUpper = 1 << 3;
constexpr int kSentenceStartLower = 1 << 4, kInsideLower = 1 << 5, kUnknownLower = 1 << 6;
constexpr int kAnyUpper = kSentenceStartUpper | kInsideUpper | kUnknownUpper;
constexpr int kAnyLower = kSentenceStartLower | kInsideLower | kUnknownLower;

struct Parameters {
  std::unordered_set<std::string> abbreviations, sentence_starters, collocations;   // a collocation is "first\tsecond"
  std::unordered_map<std::string, int> contexts;

  int context(const std::string& type) const {
    const auto found = contexts.find(type);
    return found == contexts.end() ? 0 : found->second;
  }
};

std::unordered_set<std::string> read_lines(std::string_view name) {
  std::unordered_set<std::string> lines;
  for (const std::string_view line : split(embedded_file(name), "\n"))
    if (!line.empty()) lines.emplace(line);
  return lines;
}

const Parameters& parameters() {
  static const Parameters loaded = [] {
    Parameters p;
    p.abbreviations = read_lines("punkt_english/abbrev_types.txt");
    p.sentence_starters = read_lines("punkt_english/sent_starters.txt");
    p.collocations = read_lines("punkt_english/collocations.tab");
    for (const std::string_view line : split(embedded_file("punkt_english/ortho_context.tab"), "\n")) {
      const size_t tab = line.rfind('\t');
      if (tab == std::string_view::npos) continue;
      int flags = 0;
      std::from_chars(line.data() + tab + 1, line.data() + line.size(), flags);
      p.contexts.emplace(line.substr(0, tab), flags);
    }
    return p;
  }();
  return loaded;
}

#define NON_WORD R"((?:[)\";}\]\*:@\'\({\[?!]))"
#define MULTI_PUNCTUATION R"((?:\-{2,}|\.{2,}|(?:\.\s){2,}\.))"

struct Expressions {
  // A possible sentence end and what follows it: group 1 all of it, group 2 the next token after white space.
  Regex sentence_end{R"([.?!](?=()" NON_WORD R"(|\s+(\S+))))"};
  // Closing punctuation that belongs to the sentence before it.
  Regex realignment{R"(["\')\]}]+?(?:\s+|(?=--)|$))", kMultiline};
  Regex word{"(" MULTI_PUNCTUATION R"(|(?=[^\(\"\`{\[:;&\#\*@\)}\]\-,])\S+?(?=\s|$|)" NON_WORD "|" MULTI_PUNCTUATION R"(|,(?=$|\s|)" NON_WORD "|" MULTI_PUNCTUATION
             R"())|\S))"};
  Regex ellipsis{R"(\.\.+$)"};
  Regex number{R"(^-?[\.,]?\d[\d,\.-]*\.?$)"};
  Regex initial{R"([^\W\d]\.$)"};
};

const Expressions& expressions() {
  static const Expressions compiled;
  return compiled;
}

struct Token {
  std::string text, type;
  bool ends_with_period, sentence_break = false, abbreviation = false, ellipsis = false;

  explicit Token(std::string_view token) : text(token), ends_with_period(token.ends_with('.')) {
    type = expressions().number.replace(lower(token), [](const Match&) { return std::string("##number##"); });
  }
  std::string type_without_period() const { return type.size() > 1 && type.back() == '.' ? type.substr(0, type.size() - 1) : type; }
  std::string type_without_sentence_period() const { return sentence_break ? type_without_period() : type; }
  bool is_initial() const { return expressions().initial.match(text).has_value(); }
  bool first_upper() const { return is_upper(decode_utf8(text)[0]); }
  bool first_lower() const { return is_lower(decode_utf8(text)[0]); }
};

std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  for (const std::string_view line : split(text, "\n")) {
    if (strip(line).empty()) continue;
    for (const Match& m : expressions().word.find_all(line)) tokens.emplace_back(m.str());
  }
  return tokens;
}

// By the word alone: sentence end, abbreviation or ellipsis.
void annotate_by_type(Token& token) {
  if (token.text == "." || token.text == "?" || token.text == "!") {
    token.sentence_break = true;
  } else if (expressions().ellipsis.match(token.text)) {
    token.ellipsis = true;
  } else if (token.ends_with_period && !token.text.ends_with("..")) {
    const std::string word = lower(std::string_view(token.text).substr(0, token.text.size() - 1));
    const std::string last_part = word.substr(word.rfind('-') + 1);
    if (parameters().abbreviations.contains(word) || parameters().abbreviations.contains(last_part)) token.abbreviation = true;
    else token.sentence_break = true;
  }
}

enum class Starts { kNo, kYes, kUnknown };

// Whether letter case says that this token starts a sentence.
Starts orthographic_evidence(const Token& token) {
  if (token.text.size() == 1 && std::string_view(";:,.!?").find(token.text[0]) != std::string_view::npos) return Starts::kNo;
  const int context = parameters().context(token.type_without_sentence_period());
  if (token.first_upper() && (context & kAnyLower) && !(context & kInsideUpper)) return Starts::kYes;
  if (token.first_lower() && ((context & kAnyUpper) || !(context & kSentenceStartLower))) return Starts::kNo;
  return Starts::kUnknown;
}

// With the next token: collocations, letter case, frequent starters, initials and numbers.
void annotate_by_context(Token& token, const Token& next) {
  if (!token.ends_with_period) return;
  const std::string type = token.type_without_period(), next_type = next.type_without_sentence_period();
  const bool initial = token.is_initial();
  const auto no_break = [&] {
    token.sentence_break = false;
    token.abbreviation = true;
  };
  if (parameters().collocations.contains(type + "\t" + next_type)) return no_break();
  if ((token.abbreviation || token.ellipsis) && !initial) {
    if (orthographic_evidence(next) == Starts::kYes || (next.first_upper() && parameters().sentence_starters.contains(next_type))) {
      token.sentence_break = true;
      return;
    }
  }
  if (initial || type == "##number##") {
    const Starts starts = orthographic_evidence(next);
    if (starts == Starts::kNo) return no_break();
    if (starts == Starts::kUnknown && initial && next.first_upper() && !(parameters().context(next_type) & kAnyLower)) no_break();
  }
}

// The text around one candidate holds a sentence break before its last token.
bool holds_sentence_break(const std::string& context) {
  std::vector<Token> tokens = tokens_of(context);
  for (Token& token : tokens) annotate_by_type(token);
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    annotate_by_context(tokens[i], tokens[i + 1]);
    if (tokens[i].sentence_break) return true;
  }
  return false;
}

struct Candidate {
  Match match;           // of Expressions::sentence_end
  std::string context;   // the word before it, itself, and what follows
};

// Candidates whose words do not overlap; of several ends after one word ("!!!") the last.
std::vector<Candidate> candidates_in(std::string_view text) {
  std::vector<Candidate> candidates;
  std::optional<Match> previous;
  size_t word_start = 0, word_end = 0;
  const auto keep_previous = [&] {
    candidates.push_back({*previous, std::string(text.substr(word_start, word_end - word_start)) + std::string(previous->str()) + std::string(previous->str(1))});
  };
  for (Match& m : expressions().sentence_end.find_all(text)) {
    const std::string_view before = text.substr(word_end, m.start() - word_end);
    const size_t space = before.find_last_of(" \t\n\r\x0b\x0c");
    // A space at position 0 counts as none, as in the original.
    const size_t start = space != std::string_view::npos && space > 0 ? word_end + space + 1 : word_start;
    if (previous && word_end <= start) keep_previous();
    word_start = start;
    word_end = m.start();
    previous = std::move(m);
  }
  if (previous) keep_previous();
  return candidates;
}

}  // namespace

std::vector<std::string_view> punkt_sentences(std::string_view text) {
  std::vector<std::pair<size_t, size_t>> slices;
  size_t last_break = 0;
  for (const Candidate& candidate : candidates_in(text)) {
    if (!holds_sentence_break(candidate.context)) continue;
    slices.emplace_back(last_break, candidate.match.end());
    last_break = candidate.match.has(2) ? candidate.match.groups[2].first : candidate.match.end();
  }
  slices.emplace_back(last_break, strip_right(text).size());

  std::vector<std::string_view> sentences;
  const auto add = [&](size_t first, size_t last) {
    if (last > first) sentences.push_back(text.substr(first, last - first));
  };
  size_t moved = 0;   // characters that went to the sentence before
  for (size_t i = 0; i < slices.size(); ++i) {
    const size_t start = slices[i].first + moved;
    if (i + 1 == slices.size()) {
      add(start, slices[i].second);
      break;
    }
    const auto [next_start, next_end] = slices[i + 1];
    const std::string_view next = next_end > next_start ? text.substr(next_start, next_end - next_start) : std::string_view();
    if (const auto m = expressions().realignment.match(next)) {
      sentences.push_back(text.substr(start, next_start + strip_right(m->str()).size() - start));
      moved = m->end();
    } else {
      moved = 0;
      add(start, slices[i].second);
    }
  }
  return sentences;
}

}  // namespace temper::text
