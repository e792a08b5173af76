#include "eval/safety/coherence.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "eval/text/regex.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

// Poems and lists repeat words, but nobody writes one word six times in a row or makes half of a text from one phrase.
constexpr size_t kSameWordInRow = 6, kPhraseWords = 4, kFewestWordsForPhrase = 16, kFewestWordsForVariety = 60;
constexpr double kPhraseShare = 0.5, kLeastVariety = 0.15;
constexpr size_t kSameLetterInRow = 12;
constexpr double kMostReplacementCharacters = 0.01;
// English words hold a vowel, and at most six consonants in a row ("latchstring"); abbreviations are why not every word must.
constexpr size_t kMostConsonants = 6, kLongestWord = 30, kFewestWordsForShape = 4;
constexpr double kLeastPronounceable = 0.6;

using Words = std::vector<std::string>;

bool one_word_in_row(const Words& words) {
  size_t row = 1;
  for (size_t i = 1; i < words.size(); ++i) {
    row = words[i] == words[i - 1] ? row + 1 : 1;
    if (row >= kSameWordInRow) return true;
  }
  return false;
}

bool one_phrase_throughout(const Words& words) {
  if (words.size() < kFewestWordsForPhrase) return false;
  std::map<Words, size_t> phrases;
  size_t most = 0;
  for (size_t i = 0; i + kPhraseWords <= words.size(); ++i)
    most = std::max(most, ++phrases[Words(words.begin() + i, words.begin() + i + kPhraseWords)]);
  return most > 1 && static_cast<double>(most * kPhraseWords) > kPhraseShare * static_cast<double>(words.size());
}

bool too_little_variety(const Words& words) {
  return words.size() >= kFewestWordsForVariety &&
         static_cast<double>(std::set<std::string>(words.begin(), words.end()).size()) < kLeastVariety * static_cast<double>(words.size());
}

bool pronounceable(const std::string& word) {
  size_t consonants = 0;
  bool vowel = false;
  for (const char c : word) {
    if (std::string_view("aeiouy").find(c) != std::string_view::npos) vowel = true, consonants = 0;
    else if (++consonants > kMostConsonants) return false;
  }
  return vowel && word.size() <= kLongestWord;
}

bool unpronounceable(const Words& words) {
  size_t n_latin = 0, n_good = 0;
  for (const std::string& word : words) {
    // One- and two-letter words say nothing; words with other letters are not English.
    if (word.size() < 3 || !std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; })) continue;
    ++n_latin;
    n_good += pronounceable(word);
  }
  return n_latin >= kFewestWordsForShape && static_cast<double>(n_good) < kLeastPronounceable * static_cast<double>(n_latin);
}

bool one_letter_in_row(const std::u32string& codes) {
  size_t row = 0;
  char32_t previous = 0;
  for (const char32_t c : codes) {
    row = c == previous ? row + 1 : 1;
    previous = c;
    const bool letter = (c >= 'a' && c <= 'z') || c >= 0xC0;   // lines of ---- or ... are layout
    if (letter && row >= kSameLetterInRow) return true;
  }
  return false;
}

}  // namespace

bool is_coherent(std::string_view input) {
  static const text::Regex word("\\w+");
  const std::string lowered = text::lower(input);
  const std::u32string codes = text::decode_utf8(lowered);
  const auto n_replaced = std::count(codes.begin(), codes.end(), U'\uFFFD');
  if (static_cast<double>(n_replaced) > kMostReplacementCharacters * static_cast<double>(codes.size())) return false;
  Words words;
  const std::string clean = text::encode_utf8(codes);   // the expression needs valid UTF-8
  for (const text::Match& m : word.find_all(clean)) words.emplace_back(m.str());
  return !words.empty() && !one_word_in_row(words) && !one_phrase_throughout(words) && !too_little_variety(words) && !unpronounceable(words) &&
         !one_letter_in_row(codes);
}

}  // namespace temper
