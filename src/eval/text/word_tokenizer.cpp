// NLTK's word tokenizer (the Penn Treebank conventions): a list of substitutions in a fixed order, then a split at white space.
// Source: nltk/tokenize/destructive.py, version 3.9; possessive (*+) where giving back cannot find a match, so that long runs of blanks take linear time.

#include <iterator>

#include "eval/text/punkt.h"
#include "eval/text/regex.h"
#include "eval/text/unicode.h"

namespace temper::text {
namespace {

struct Substitution {
  Regex find;
  std::string_view put;   // \0 to \9 stand for the match and its groups

  std::string apply(const std::string& text) const {
    return find.replace(text, [&](const Match& m) {
      std::string out;
      for (size_t i = 0; i < put.size(); ++i) {
        if (put[i] == '\\') out += m.str(put[++i] - '0');
        else out += put[i];
      }
      return out;
    });
  }
};

template <class... Rows> std::vector<Substitution> list(Rows&&... rows) {
  std::vector<Substitution> out;
  (out.push_back(std::move(rows)), ...);
  return out;
}

Substitution row(std::string_view find, std::string_view put, unsigned flags = kNoFlags) { return {Regex(find, flags), put}; }

const std::vector<Substitution>& before_padding() {
  static const std::vector<Substitution> rows = list(
      // starting quotes
      row("([«“‘„]|[`]+)", R"( \1 )"),
      row(R"(^\")", "``"),
      row("(``)", R"( \1 )"),
      row(R"(([ \(\[{<])(\"|\'{2}))", R"(\1 `` )"),
      row(R"((\')(?!re|ve|ll|m|t|s|d|n)(\w)\b)", R"(\1 \2)", kIgnoreCase),
      // punctuation
      row("([^\\.])(\\.)([\\]\\)}>\"\\'»”’ ]*+)\\s*+$", R"(\1 \2 \3 )"),
      row(R"(([:,])([^\d]))", R"( \1 \2)"),
      row("([:,])$", R"( \1 )"),
      row(R"(\.{2,})", R"( \0 )"),
      row("[;@#$%&]", R"( \0 )"),
      row(R"(([^\.])(\.)([\]\)}>"\']*+)\s*+$)", R"(\1 \2\3 )"),
      row("[?!]", R"( \0 )"),
      row("([^'])' ", R"(\1 ' )"),
      row("[*]", R"( \0 )"),
      // brackets and dashes
      row(R"([\]\[\(\)\{\}\<\>])", R"( \0 )"),
      row("--", " -- "));
  return rows;
}

const std::vector<Substitution>& after_padding() {
  static const std::vector<Substitution> rows = list(
      // ending quotes
      row("([»”’])", R"( \1 )"),
      row("''", " '' "),
      row("\"", " '' "),
      row(R"(\s+)", " "),
      row("([^' ])('[sS]|'[mM]|'[dD]|') ", R"(\1 \2 )"),
      row("([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", R"(\1 \2 )"),
      // contractions
      row(R"(\b(can)(not)\b)", R"( \1 \2 )", kIgnoreCase),
      row(R"(\b(d)('ye)\b)", R"( \1 \2 )", kIgnoreCase),
      row(R"(\b(gim)(me)\b)", R"( \1 \2 )", kIgnoreCase),
      row(R"(\b(gon)(na)\b)", R"( \1 \2 )", kIgnoreCase),
      row(R"(\b(got)(ta)\b)", R"( \1 \2 )", kIgnoreCase),
      row(R"(\b(lem)(me)\b)", R"( \1 \2 )", kIgnoreCase),
      row(R"(\b(more)('n)\b)", R"( \1 \2 )", kIgnoreCase),
      row(R"(\b(wan)(na)(?=\s))", R"( \1 \2 )", kIgnoreCase),
      row(" ('t)(is)\\b", R"( \1 \2 )", kIgnoreCase),
      row(" ('t)(was)\\b", R"( \1 \2 )", kIgnoreCase));
  return rows;
}

}  // namespace

std::vector<std::string> word_tokenize(std::string_view text) {
  std::vector<std::string> tokens;
  for (const std::string_view sentence : punkt_sentences(text)) {
    std::string line(sentence);
    for (const Substitution& substitution : before_padding()) line = substitution.apply(line);
    line = " " + line + " ";
    for (const Substitution& substitution : after_padding()) line = substitution.apply(line);
    for (const std::string_view word : split_words(line)) tokens.emplace_back(word);
  }
  return tokens;
}

}  // namespace temper::text
