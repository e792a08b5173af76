#include "eval/ifeval/instructions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>

#include "eval/ifeval/python_json.h"
#include "eval/text/language.h"
#include "eval/text/punkt.h"
#include "eval/text/regex.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

using text::Regex;
using SharedRegex = std::shared_ptr<const Regex>;

SharedRegex compile(const std::string& pattern, unsigned flags = text::kNoFlags) { return std::make_shared<Regex>(pattern, flags); }
bool blank(std::string_view s) { return text::strip(s).empty(); }

// The arguments of one instruction, with errors that name it.
struct Arguments {
  const Json& json;
  std::string where;
  char random_letter;

  const Json& get(const char* key) const { return json_member(json, key, where); }
  std::string string(const char* key) const {
    if (!get(key).is_string()) wrong(key, "a string");
    return get(key);
  }
  std::string stripped(const char* key) const { return std::string(text::strip(string(key))); }
  int64_t count(const char* key) const {
    if (!get(key).is_number_integer() || get(key) <= 0) wrong(key, "a whole number above 0");
    return get(key);
  }
  std::vector<std::string> strings(const char* key) const {
    const Json& list = get(key);
    if (!list.is_array() || list.empty()) wrong(key, "a list of strings");
    for (const Json& item : list)
      if (!item.is_string()) wrong(key, "a list of strings");
    return list;
  }
  /// "less than N" or "at least N" as a test of a count.
  std::function<bool(int64_t)> relation(const char* relation_key, const char* count_key) const {
    const std::string name = string(relation_key);
    const int64_t bound = count(count_key);
    if (name == "less than") return [bound](int64_t n) { return n < bound; };
    if (name == "at least") return [bound](int64_t n) { return n >= bound; };
    wrong(relation_key, "\"less than\" or \"at least\"");
  }
  [[noreturn]] void wrong(const char* key, const char* needed) const {
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("{} is {}, it must be {}", key, get(key).dump(), needed),
                 .where = where,
                 .fix = "correct the instruction's arguments"});
  }
};

// --- keywords ---------------------------------------------------------------------------------------------------

Check keyword_existence(const Arguments& a) {
  std::vector<SharedRegex> all;
  for (const std::string& word : a.strings("keywords")) all.push_back(compile(word, text::kIgnoreCase));
  return [all](const std::string& r) { return std::all_of(all.begin(), all.end(), [&](const SharedRegex& w) { return w->search(r).has_value(); }); };
}

Check keyword_frequency(const Arguments& a) {
  return [word = compile(a.stripped("keyword"), text::kIgnoreCase), enough = a.relation("relation", "frequency")](const std::string& r) {
    return enough(static_cast<int64_t>(word->count(r)));
  };
}

Check forbidden_words(const Arguments& a) {
  std::vector<SharedRegex> all;
  for (const std::string& word : a.strings("forbidden_words")) all.push_back(compile("\\b" + word + "\\b", text::kIgnoreCase));
  return [all](const std::string& r) { return std::none_of(all.begin(), all.end(), [&](const SharedRegex& w) { return w->search(r).has_value(); }); };
}

// The one ASCII letter that is asked for, else 0.
char asked_letter(const Json& arguments) {
  const auto found = arguments.find("letter");
  if (found == arguments.end() || !found->is_string()) return 0;
  const std::string letter = text::lower(found->get<std::string>());
  return letter.size() == 1 && letter[0] >= 'a' && letter[0] <= 'z' ? letter[0] : '\0';
}

Check letter_frequency(const Arguments& a) {
  const char letter = asked_letter(a.json) ? asked_letter(a.json) : a.random_letter;
  return [letter, enough = a.relation("let_relation", "let_frequency")](const std::string& r) {
    const std::string lowered = text::lower(r);
    return enough(std::count(lowered.begin(), lowered.end(), letter));
  };
}

// --- language and case ------------------------------------------------------------------------------------------

// A text without features passes: the official checker catches langdetect's exception that way.
bool is_language(const std::string& r, const std::string& language) {
  const std::optional<std::string> found = text::detect_language(r);
  return !found || *found == language;
}

Check response_language(const Arguments& a) {
  return [language = a.string("language")](const std::string& r) { return is_language(r, language); };
}
Check english_capital(const Arguments&) {
  return [](const std::string& r) { return text::all_upper(r) && is_language(r, "en"); };
}
Check english_lowercase(const Arguments&) {
  return [](const std::string& r) { return text::all_lower(r) && is_language(r, "en"); };
}
Check capital_word_frequency(const Arguments& a) {
  return [enough = a.relation("capital_relation", "capital_frequency")](const std::string& r) {
    const std::vector<std::string> words = text::word_tokenize(r);
    return enough(std::count_if(words.begin(), words.end(), [](const std::string& word) { return text::all_upper(word); }));
  };
}

// --- lengths ----------------------------------------------------------------------------------------------------

Check number_sentences(const Arguments& a) {
  return [enough = a.relation("relation", "num_sentences")](const std::string& r) {
    return enough(static_cast<int64_t>(text::punkt_sentences(r).size()));
  };
}

Check number_words(const Arguments& a) {
  return [word = compile("\\w+"), enough = a.relation("relation", "num_words")](const std::string& r) {
    return enough(static_cast<int64_t>(word->count(r)));
  };
}

// Blank pieces are allowed (and not counted) at the ends only.  -1 if one is inside.
int64_t count_pieces(const std::vector<std::string>& pieces) {
  int64_t n = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (!blank(pieces[i])) ++n;
    else if (i != 0 && i + 1 != pieces.size()) return -1;
  }
  return n;
}

Check number_paragraphs(const Arguments& a) {
  return [divider = compile(R"(\s?\*\*\*\s?)"), wanted = a.count("num_paragraphs")](const std::string& r) {
    std::vector<std::string> pieces = divider->split(r);
    // One blank piece that is both first and last leaves 0 paragraphs, as in the official checker.
    return count_pieces(pieces) == wanted;
  };
}

// Lower-cased up to the first punctuation mark, without leading quotes.
std::string first_word_of(std::string_view paragraph) {
  std::string_view word = text::split_words(paragraph)[0];
  word = text::strip_left(text::strip_left(word, "'"), "\"");
  std::u32string lowered;
  for (const char32_t c : text::decode_utf8(word)) {
    if (c < 0x80 && std::string_view(".,?!'\"").find(static_cast<char>(c)) != std::string_view::npos) break;
    lowered += text::lower(c);
  }
  return text::encode_utf8(lowered);
}

Check nth_paragraph_first_word(const Arguments& a) {
  const int64_t wanted = a.count("num_paragraphs"), nth = a.count("nth_paragraph");
  if (nth > wanted) a.wrong("nth_paragraph", "at most num_paragraphs");
  return [wanted, nth, first = text::lower(a.string("first_word"))](const std::string& r) {
    const std::vector<std::string_view> pieces = text::split(r, "\n\n");
    const int64_t n = std::count_if(pieces.begin(), pieces.end(), [](std::string_view p) { return !blank(p); });
    if (nth > n) return false;
    const std::string_view paragraph = text::strip(pieces[static_cast<size_t>(nth - 1)]);   // of all pieces, blank ones included
    return !paragraph.empty() && n == wanted && first_word_of(paragraph) == first;
  };
}

// --- content and format -----------------------------------------------------------------------------------------

Check number_placeholders(const Arguments& a) {
  return [bracket = compile(R"(\[.*?\])"), wanted = a.count("num_placeholders")](const std::string& r) {
    return static_cast<int64_t>(bracket->count(r)) >= wanted;
  };
}

Check postscript(const Arguments& a) {
  const std::string marker = a.stripped("postscript_marker");
  const std::string pattern = marker == "P.P.S"  ? R"(\s*p\.\s?p\.\s?s.*$)"
                              : marker == "P.S." ? R"(\s*p\.\s?s\..*$)"
                                                 : "\\s*" + text::lower(marker) + ".*$";
  return [line = compile(pattern, text::kMultiline)](const std::string& r) { return line->search(text::lower(r)).has_value(); };
}

Check number_bullet_lists(const Arguments& a) {
  return [star = compile(R"(^\s*\*[^\*].*$)", text::kMultiline), dash = compile(R"(^\s*-.*$)", text::kMultiline),
          wanted = a.count("num_bullets")](const std::string& r) { return static_cast<int64_t>(star->count(r) + dash->count(r)) == wanted; };
}

Check constrained_response(const Arguments&) {
  return [](const std::string& r) {
    for (const char* option : {"My answer is yes.", "My answer is no.", "My answer is maybe."})
      if (r.find(option) != std::string::npos) return true;
    return false;
  };
}

Check number_highlighted_sections(const Arguments& a) {
  return [single = compile(R"(\*[^\n\*]*\*)"), twofold = compile(R"(\*\*[^\n\*]*\*\*)"), wanted = a.count("num_highlights")](const std::string& r) {
    int64_t n = 0;
    for (const text::Match& m : single->find_all(r)) n += !blank(text::strip(m.str(), "*"));
    for (const text::Match& m : twofold->find_all(r)) n += !blank(text::remove_suffix(text::remove_prefix(m.str(), "**"), "**"));
    return n >= wanted;
  };
}

Check multiple_sections(const Arguments& a) {
  return [splitter = compile(R"(\s?)" + a.stripped("section_spliter") + R"(\s?\d+\s?)"), wanted = a.count("num_sections")](const std::string& r) {
    return static_cast<int64_t>(splitter->count(r)) >= wanted;
  };
}

Check json_format(const Arguments&) {
  return [](const std::string& r) {
    std::string_view s = text::strip(r);
    for (const char* fence : {"```json", "```Json", "```JSON", "```"}) s = text::remove_prefix(s, fence);
    return python_accepts_json(text::strip(text::remove_suffix(s, "```")));
  };
}

Check title(const Arguments&) {
  return [angled = compile("<<[^\\n]+>>")](const std::string& r) {
    for (const text::Match& m : angled->find_all(r))
      if (!blank(text::strip_right(text::strip_left(m.str(), "<"), ">"))) return true;
    return false;
  };
}

// --- combinations, start and end, punctuation -------------------------------------------------------------------

Check two_responses(const Arguments&) {
  return [](const std::string& r) {
    std::vector<std::string> pieces;
    for (const std::string_view piece : text::split(r, "******")) pieces.emplace_back(piece);
    if (count_pieces(pieces) != 2) return false;
    std::erase_if(pieces, [](const std::string& p) { return blank(p); });
    return text::strip(pieces[0]) != text::strip(pieces[1]);
  };
}

Check repeat_prompt(const Arguments& a) {
  return [prompt = text::lower(a.stripped("prompt_to_repeat"))](const std::string& r) { return text::lower(text::strip(r)).starts_with(prompt); };
}

Check end_checker(const Arguments& a) {
  const std::string phrase = text::lower(a.stripped("end_phrase"));
  return [phrase](const std::string& r) { return text::lower(text::strip(text::strip(r), "\"")).ends_with(phrase); };
}

Check quotation(const Arguments&) {
  return [](const std::string& r) {
    const std::string_view s = text::strip(r);
    return s.size() > 1 && s.front() == '"' && s.back() == '"';
  };
}

Check no_comma(const Arguments&) {
  return [](const std::string& r) { return r.find(',') == std::string::npos; };
}

const std::map<std::string, Check (*)(const Arguments&)>& kinds() {
  static const std::map<std::string, Check (*)(const Arguments&)> table = {
      {"change_case:capital_word_frequency", capital_word_frequency},
      {"change_case:english_capital", english_capital},
      {"change_case:english_lowercase", english_lowercase},
      {"combination:repeat_prompt", repeat_prompt},
      {"combination:two_responses", two_responses},
      {"detectable_content:number_placeholders", number_placeholders},
      {"detectable_content:postscript", postscript},
      {"detectable_format:constrained_response", constrained_response},
      {"detectable_format:json_format", json_format},
      {"detectable_format:multiple_sections", multiple_sections},
      {"detectable_format:number_bullet_lists", number_bullet_lists},
      {"detectable_format:number_highlighted_sections", number_highlighted_sections},
      {"detectable_format:title", title},
      {"keywords:existence", keyword_existence},
      {"keywords:forbidden_words", forbidden_words},
      {"keywords:frequency", keyword_frequency},
      {"keywords:letter_frequency", letter_frequency},
      {"language:response_language", response_language},
      {"length_constraints:nth_paragraph_first_word", nth_paragraph_first_word},
      {"length_constraints:number_paragraphs", number_paragraphs},
      {"length_constraints:number_sentences", number_sentences},
      {"length_constraints:number_words", number_words},
      {"punctuation:no_comma", no_comma},
      {"startend:end_checker", end_checker},
      {"startend:quotation", quotation},
  };
  return table;
}

}  // namespace

Check make_check(const std::string& id, const Json& arguments, char random_letter, const std::string& where) {
  const auto kind = kinds().find(id);
  if (kind == kinds().end())
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("{} is not an instruction of IFEval", id),
                 .where = where,
                 .fix = fmt::format("use one of: {}", fmt::join(instruction_ids(), ", "))});
  return kind->second(Arguments{arguments, fmt::format("{}, {}", where, id), random_letter});
}

bool draws_letter(const std::string& id, const Json& arguments) { return id == "keywords:letter_frequency" && asked_letter(arguments) == 0; }

bool follows_strict(const Check& check, const std::string& response) { return !blank(response) && check(response); }

bool follows_loose(const Check& check, const std::string& response) {
  const std::vector<std::string_view> lines = text::split(response, "\n");
  const auto stripped = [](const std::string& s) { return std::string(text::strip(s)); };
  const std::string without_first = stripped(text::join(lines, "\n", 1, lines.size()));
  const std::string without_last = stripped(text::join(lines, "\n", 0, lines.size() - 1));
  const std::string without_both = lines.size() > 1 ? stripped(text::join(lines, "\n", 1, lines.size() - 1)) : "";
  for (const std::string& variant : {response, without_first, without_last, without_both}) {
    if (follows_strict(check, variant) || follows_strict(check, text::replace_all(variant, "*", ""))) return true;
  }
  return false;
}

std::vector<std::string> instruction_ids() {
  std::vector<std::string> ids;
  for (const auto& [id, kind] : kinds()) ids.push_back(id);
  return ids;
}

}  // namespace temper
