#include "eval/text/language.h"

#include <algorithm>
#include <unordered_map>

#include "base/json.h"
#include "eval/data.h"
#include "eval/text/python_random.h"
#include "eval/text/regex.h"
#include "eval/text/unicode.h"

namespace temper::text {
namespace {

constexpr int kLongestGram = 3;
constexpr size_t kLongestText = 10000;   // characters looked at
constexpr int kTrials = 7, kMostSteps = 1000, kCheckEvery = 5;
constexpr double kAlpha = 0.5, kAlphaWidth = 0.05, kBaseFrequency = 10000, kConverged = 0.99999, kReported = 0.1;

// The characters that langdetect treats by name (langdetect_characters.tsv, from its messages.properties).
struct Characters {
  std::u32string latin1_excluded, vi_letters, vi_marks;
  std::vector<std::u32string> vi_composed;                  // one string for each mark, in the order of vi_letters
  std::unordered_map<char32_t, char32_t> kanji_class;        // a character -> the first one of its class
};

const Characters& characters() {
  static const Characters loaded = [] {
    Characters c;
    for (const std::string_view line : split(embedded_file("langdetect_characters.tsv"), "\n")) {
      const size_t tab = line.find('\t');
      if (tab == std::string_view::npos) continue;
      const std::string_view name = line.substr(0, tab);
      const std::u32string value = decode_utf8(line.substr(tab + 1));
      if (name == "NGram.LATIN1_EXCLUDE") c.latin1_excluded = value;
      else if (name == "TO_NORMALIZE_VI_CHARS") c.vi_letters = value;
      else if (name == "DMARK_CLASS") c.vi_marks = value;
      else if (name.starts_with("NORMALIZED_VI_CHARS")) c.vi_composed.push_back(value);
      else
        for (const char32_t ch : value) c.kanji_class[ch] = value[0];
    }
    return c;
  }();
  return loaded;
}

// For each language in alphabetical order, how often it uses each n-gram.
struct Profiles {
  std::vector<std::string> languages;
  std::unordered_map<std::u32string, std::vector<double>> probabilities;   // n-gram -> one value for each language
};

const Profiles& profiles() {
  static const Profiles loaded = [] {
    Profiles p;
    const std::vector<std::string> names = embedded_names("langdetect_profiles/");
    for (size_t index = 0; index < names.size(); ++index) {
      const Json profile = parse_json(embedded_file(names[index]), names[index], ErrorKind::kInternal);
      p.languages.push_back(profile.at("name"));
      const std::vector<double> totals = profile.at("n_words");
      for (const auto& [gram, count] : profile.at("freq").items()) {
        const std::u32string word = decode_utf8(gram);
        std::vector<double>& row = p.probabilities[word];
        row.resize(names.size());
        if (word.size() >= 1 && word.size() <= kLongestGram) row[index] = count.get<double>() / totals[word.size() - 1];
      }
    }
    return p;
  }();
  return loaded;
}

// One character as the profiles spell it: by Unicode block.
char32_t normalise(char32_t c) {
  if (c < 0x80) return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ? c : U' ';
  if (c < 0x100) return characters().latin1_excluded.find(c) != std::u32string::npos ? U' ' : c;
  if (c == 0x219) return 0x15F;   // Romanian s and t with comma below are written with cedilla
  if (c == 0x21B) return 0x163;
  if (within(c, 0x2000, 0x206F)) return U' ';                       // General Punctuation
  if (c == 0x6CC) return 0x64A;                                     // Farsi yeh -> Arabic yeh
  if (within(c, 0x1EA0, 0x1EFF)) return 0x1EC3;                     // Vietnamese letters
  if (within(c, 0x3040, 0x309F)) return 0x3042;                     // Hiragana
  if (within(c, 0x30A0, 0x30FF)) return 0x30A2;                     // Katakana
  if (within(c, 0x3100, 0x312F) || within(c, 0x31A0, 0x31BF)) return 0x3105;   // Bopomofo
  if (within(c, 0x4E00, 0x9FFF)) {
    const auto found = characters().kanji_class.find(c);
    return found == characters().kanji_class.end() ? c : found->second;
  }
  if (within(c, 0xAC00, 0xD7AF)) return 0xAC00;                     // Hangul
  return c;
}

// A Vietnamese letter followed by a combining mark becomes the composed letter.
std::u32string compose_vietnamese(const std::u32string& text) {
  const Characters& c = characters();
  std::u32string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t letter = c.vi_letters.find(text[i]);
    const size_t mark = i + 1 < text.size() ? c.vi_marks.find(text[i + 1]) : std::u32string::npos;
    if (letter == std::u32string::npos || mark == std::u32string::npos) {
      out += text[i];
    } else {
      out += c.vi_composed[mark][letter];
      ++i;
    }
  }
  return out;
}

// Without addresses, runs of spaces, and Latin letters where most of the text is in another script.
std::u32string cleaned(std::string_view text) {
  static const Regex url("https?://[-_.?&~;+=/#0-9A-Za-z]{1,2076}");
  static const Regex mail("[-_.0-9A-Za-z]{1,64}@[-_0-9A-Za-z]{1,255}[-_.0-9A-Za-z]{1,255}");
  const auto blank = [](const Match&) { return std::string(" "); };
  const std::u32string codes = compose_vietnamese(decode_utf8(mail.replace(url.replace(text, blank), blank)));
  std::u32string kept;
  char32_t previous = 0;
  for (size_t i = 0; i < std::min(codes.size(), kLongestText); ++i) {
    if (codes[i] != U' ' || previous != U' ') kept += codes[i];
    previous = codes[i];
  }
  int64_t latin = 0, other = 0;
  for (const char32_t c : kept) {
    if (within(c, 'A', 'z')) ++latin;
    else if (c >= 0x300 && !within(c, 0x1E00, 0x1EFF)) ++other;
  }
  if (latin * 2 < other) std::erase_if(kept, [](char32_t c) { return within(c, 'A', 'z'); });
  return kept;
}

// The n-grams of the text that some profile knows; words in capitals are left out.
std::vector<const std::vector<double>*> known_grams(const std::u32string& text) {
  std::vector<const std::vector<double>*> found;
  std::u32string grams = U" ";
  bool capital_word = false;
  for (const char32_t raw : text) {
    const char32_t c = normalise(raw);
    const char32_t last = grams.back();
    bool added = true;
    if (last == U' ') {
      grams.assign(1, U' ');
      capital_word = false;
      added = c != U' ';
    } else if (grams.size() >= kLongestGram) {
      grams.erase(0, 1);
    }
    if (added) {
      grams += c;
      if (!is_upper(c)) capital_word = false;
      else if (is_upper(last)) capital_word = true;
    }
    if (capital_word) continue;
    for (size_t n = 1; n <= kLongestGram && n <= grams.size(); ++n) {
      const std::u32string gram = grams.substr(grams.size() - n);
      if (gram == U" ") continue;
      const auto row = profiles().probabilities.find(gram);
      if (row != profiles().probabilities.end()) found.push_back(&row->second);
    }
  }
  return found;
}

// Scales to sum 1; returns the greatest.
double normalise_probabilities(std::vector<double>& p) {
  double sum = 0, greatest = 0;
  for (const double v : p) sum += v;
  for (double& v : p) {
    v /= sum;
    greatest = std::max(greatest, v);
  }
  return greatest;
}

}  // namespace

std::optional<std::vector<std::pair<std::string, double>>> detect_languages(std::string_view text, unsigned seed) {
  const std::vector<const std::vector<double>*> grams = known_grams(cleaned(text));
  if (grams.empty()) return std::nullopt;
  const std::vector<std::string>& languages = profiles().languages;
  std::vector<double> mean(languages.size(), 0.0);
  PythonRandom random(seed);
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> p(languages.size(), 1.0 / static_cast<double>(languages.size()));
    const double alpha = kAlpha + random.gauss(0.0, 1.0) * kAlphaWidth;
    for (int i = 0;; ++i) {
      const std::vector<double>& row = *grams[random.below(static_cast<uint32_t>(grams.size()))];
      const double weight = alpha / kBaseFrequency;
      for (size_t j = 0; j < p.size(); ++j) p[j] *= weight + row[j];
      if (i % kCheckEvery == 0 && (normalise_probabilities(p) > kConverged || i >= kMostSteps)) break;
    }
    for (size_t j = 0; j < p.size(); ++j) mean[j] += p[j] / kTrials;
  }
  std::vector<std::pair<std::string, double>> result;
  for (size_t j = 0; j < mean.size(); ++j)
    if (mean[j] > kReported) result.emplace_back(languages[j], mean[j]);
  std::stable_sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return result;
}

std::optional<std::string> detect_language(std::string_view text, unsigned seed) {
  const auto found = detect_languages(text, seed);
  if (!found) return std::nullopt;
  return found->empty() ? "unknown" : found->front().first;
}

}  // namespace temper::text
