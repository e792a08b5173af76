#include "eval/stories/constraints.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"

namespace temper {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
  return begin == std::string_view::npos ? "" : lower(text.substr(begin, end - begin + 1));
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_quote(char c) { return c == '"' || c == '\''; }

}  // namespace

std::vector<std::string> story_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : lower(text) + " ") {
    if (c >= 'a' && c <= 'z') word += c;
    else if (!word.empty()) words.push_back(std::exchange(word, ""));
  }
  return words;
}

std::vector<std::string> story_sentences(std::string_view text) {
  std::vector<std::string> sentences;
  std::string current;
  const auto close = [&] {
    if (const std::string sentence = trimmed(current); !sentence.empty()) sentences.push_back(sentence);
    current.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    current += text[i];
    const bool stop = text[i] == '.' || text[i] == '!' || text[i] == '?';
    if (!stop) continue;
    size_t next = i + 1;
    if (next < text.size() && is_quote(text[next])) ++next;
    if (next < text.size() && !is_space(text[next])) continue;
    current += text.substr(i + 1, next - i - 1);
    i = next - 1;
    close();
  }
  close();
  return sentences;
}

bool satisfies(std::string_view answer, const Json& constraint) {
  const std::string text = trimmed(answer), type = constraint.at("type").get<std::string>();
  if (type == "words") {
    const std::vector<std::string> words = story_words(text);
    const auto has = [&](const Json& word) { return std::find(words.begin(), words.end(), word.get<std::string>()) != words.end(); };
    return std::all_of(constraint.at("words").begin(), constraint.at("words").end(), has);
  }
  if (type == "max_sentences") {
    const auto n = static_cast<int64_t>(story_sentences(text).size());
    return n >= 1 && n <= constraint.at("n").get<int64_t>();
  }
  if (type == "min_sentences") return static_cast<int64_t>(story_sentences(text).size()) >= constraint.at("n").get<int64_t>();
  if (type == "starts_with") {
    const std::string start = trimmed(constraint.at("text").get<std::string>());
    return text.starts_with(start) || (!text.empty() && is_quote(text.front()) && text.substr(1).starts_with(start));
  }
  if (type == "ends_with") {
    const std::string end = trimmed(constraint.at("text").get<std::string>());
    return text.ends_with(end) || (!text.empty() && is_quote(text.back()) && std::string_view(text).substr(0, text.size() - 1).ends_with(end));
  }
  throw Error({.kind = ErrorKind::kData, .what = fmt::format("constraint type \"{}\"", type), .where = "suite stories",
               .fix = "known: words, min_sentences, max_sentences, starts_with, ends_with"});
}

bool is_coherent_story(std::string_view answer, std::string_view prompt, const std::set<std::string, std::less<>>& vocabulary) {
  constexpr size_t kFewestWords = 4, kWordsOfALoop = 20;
  constexpr double kKnownShare = 0.95, kDifferentShare = 0.6;
  const std::vector<std::string> words = story_words(answer), asked = story_words(prompt);
  if (words.size() < kFewestWords) return false;
  const auto known = std::count_if(words.begin(), words.end(), [&](const std::string& word) {
    return vocabulary.contains(word) || std::find(asked.begin(), asked.end(), word) != asked.end();
  });
  if (static_cast<double>(known) < kKnownShare * static_cast<double>(words.size())) return false;
  std::map<std::string, int> times;
  for (const std::string& sentence : story_sentences(answer))
    if (story_words(sentence).size() >= kFewestWords && ++times[sentence] > 2) return false;
  if (words.size() < kWordsOfALoop) return true;
  std::set<std::string> triples;
  for (size_t i = 0; i + 2 < words.size(); ++i) triples.insert(words[i] + " " + words[i + 1] + " " + words[i + 2]);
  return static_cast<double>(triples.size()) >= kDifferentShare * static_cast<double>(words.size() - 2);
}

}  // namespace temper
