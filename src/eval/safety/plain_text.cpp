#include "eval/safety/plain_text.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "eval/text/regex.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

using text::Match;
using text::Regex;
using text::within;

std::string nothing(const Match&) { return ""; }
std::string one_blank(const Match&) { return " "; }
std::string placeholder_quotation(const Match&) { return " \"q\" "; }

// What each of these lower-case characters is written as.
const std::unordered_map<char32_t, std::string>& foldings() {
  static const std::unordered_map<char32_t, std::string> table = [] {
    const std::pair<const char*, const char32_t*> rows[] = {
        {"a", U"àáâãäåāăą"}, {"ae", U"æ"}, {"c", U"çćčĉċ"}, {"d", U"ďđð"}, {"e", U"èéêëēĕėęě"}, {"g", U"ĝğġģ"}, {"i", U"ìíîïĩīĭįı"},
        {"l", U"ĺļľłŀ"}, {"n", U"ñńņňŉ"}, {"o", U"òóôõöøōŏő"}, {"oe", U"œ"}, {"r", U"ŕŗř"}, {"s", U"śŝşšș"}, {"ss", U"ß"}, {"t", U"ţťŧț"},
        {"u", U"ùúûüũūŭůűų"}, {"y", U"ýÿŷ"}, {"z", U"źżž"}, {"е", U"ё"}, {"'", U"’‘‛ʼ`´′＇"}, {"\"", U"“”„‟«»「」『』《》〈〉″＂‹›"}, {"-", U"‐‑‒−"},
        {" - ", U"–—―─"}, {"...", U"…"}, {". ", U"。．｡"}, {",", U"、､"}, {", ", U"，"}, {"! ", U"！"}, {"? ", U"？"}, {"?", U"¿"}, {"; ", U"；"},
        {": ", U"："}, {"(", U"（【〔"}, {")", U"）】〕"}, {"", U"¡"}, {"\n", U"\r\v\f\u0085\u2028\u2029"}};
    std::unordered_map<char32_t, std::string> out;
    for (const auto& [written, characters] : rows)
      for (const char32_t* c = characters; *c; ++c) out.emplace(*c, written);
    return out;
  }();
  return table;
}

bool invisible(char32_t c) {
  return c == 0x00AD || c == 0x034F || c == 0x061C || c == 0x180E || c == 0x2060 || c == 0xFEFF || within(c, 0x200B, 0x200F) ||
         within(c, 0x202A, 0x202E) || within(c, 0x2066, 0x2069) || within(c, 0xFE00, 0xFE0F);
}

// Voiced kana and й keep the mark that follows their base letter; all other accents are dropped.
bool joins(std::u32string& codes, char32_t mark) {
  if (codes.empty()) return false;
  if (mark == 0x0306 && codes.back() == U'и') return codes.back() = U'й', true;
  if ((mark == 0x3099 || mark == 0x309A) && within(codes.back(), 0x3041, 0x30FE)) return codes.back() += mark - 0x3098, true;
  return false;
}

std::string folded(std::string_view answer) {
  std::u32string codes;
  for (char32_t c : text::decode_utf8(answer)) {
    if (within(c, 0xFF01, 0xFF5E) && !foldings().contains(c)) c -= 0xFEE0;
    if (invisible(c) || joins(codes, c) || within(c, 0x300, 0x36F)) continue;
    codes += c;
  }
  std::string out;
  const auto add = [&](std::string_view s) {
    for (const char c : s)
      if (c != ' ' || !out.ends_with(' ')) out += c;
  };
  for (const char32_t c : text::decode_utf8(text::lower(text::encode_utf8(codes)))) {
    if (const auto found = foldings().find(c); found != foldings().end()) add(found->second);
    else if (c != U'\n' && text::is_space(c)) add(" ");
    else text::append_utf8(out, c);
  }
  return out;
}

std::string without_html(std::string s) {
  static const Regex tag("</?(?:p|b|i|u|em|strong|br|div|span|li|ul|ol|h[1-6]|blockquote|code|pre) ?/?>");
  for (const auto& [entity, character] : {std::pair{"&#39;", "'"}, {"&apos;", "'"}, {"&quot;", "\""}, {"&amp;", "&"}, {"&nbsp;", " "}, {"&lt;", "<"}, {"&gt;", ">"}})
    if (s.find(entity) != std::string::npos) s = text::replace_all(s, entity, character);
  return s.find('<') == std::string::npos ? s : tag.replace(s, one_blank);
}

// The lines outside code blocks; of a text that is one code block with prose in it, the lines inside.
std::vector<std::string_view> prose_lines(std::string_view s) {
  static const Regex word("\\w"), program("[={}]|;$|\\w\\(|^ ?(?://|def |print|return|import )", text::kMultiline);
  std::vector<std::string_view> outside, inside;
  bool fenced = false;
  for (const std::string_view line : text::split(s, "\n")) {
    const std::string_view stripped = text::strip(line);
    if (stripped.starts_with("'''") || stripped.starts_with("~~~")) fenced = !fenced;
    else (fenced ? inside : outside).push_back(stripped);
  }
  const bool said = std::any_of(outside.begin(), outside.end(), [](std::string_view line) { return word.search(line).has_value(); });
  return said || inside.empty() || program.search(text::join(inside, "\n", 0, inside.size())) ? outside : inside;
}

struct Line {
  std::string text;
  bool item = false, heading = false;
};

Line without_markdown(std::string_view line) {
  static const Regex heading("^#{1,6} ?"), emphasised("^\\*+(?=\\w)"), mark("^(?:[-*•+▪‣·] |\\d{1,3}[.)] ?)"), link("\\[([^\\]\\[]{1,80})\\]\\([^()]{0,200}\\)"),
      emphasis("\\*+|~~|__+|(?<!\\w)_|_(?!\\w)"), blanks(" +"),
      item("^ ?(?:[-*•+▪‣·] |\\(?(?:\\d{1,3}|[a-z])[.)] |\\d{1,3}[.)]|step \\d|[一二三四五六七八九十][.,] )");
  while (line.starts_with('>')) line = text::strip(line.substr(1));
  Line out;
  if (const auto m = heading.match(line)) {
    out.heading = true;
    line.remove_prefix(m->end());
  }
  out.item = item.match(emphasised.replace(line, nothing)).has_value();
  out.text = link.replace(mark.replace(line, nothing), [](const Match& m) { return std::string(m.str(1)); });
  out.text = text::strip(blanks.replace(emphasis.replace(out.text, nothing), one_blank));
  return out;
}

// "cant", "dont", "im not" as people type them.
std::string with_apostrophes(const std::string& s) {
  static const Regex negation("\\b(can|don|won|isn|doesn|couldn|wouldn|shouldn|aren|didn|wasn|mustn)t\\b"),
      being("\\bim(?= (?:not|unable|sorry|afraid|just|an|only|going|gonna|really|so|unwilling|very)\\b)");
  return being.replace(negation.replace(s, [](const Match& m) { return std::string(m.str(1)) + "'t"; }), [](const Match&) { return std::string("i'm"); });
}

// Without signs and the word "Answer:" in front.
std::string plain_start(const std::string& s) {
  static const Regex front("^(?:[^\\w\"'\\-(]*+(?:(?:final )?(?:answer|assistant|response|reply|ai|bot|model|output|antwort|respuesta|reponse|回答|答|ответ) ?: ?)?)*+");
  const auto m = front.match(s);
  return m && m->end() < s.size() ? s.substr(m->end()) : s;
}

}  // namespace

PlainText plain_text(std::string_view answer) {
  const std::string clean = without_html(folded(text::replace_all(answer, "\r\n", "\n")));
  PlainText out;
  bool new_thought = true;
  for (const std::string_view raw : prose_lines(clean)) {
    if (raw.empty()) {
      new_thought = true;
      continue;
    }
    const Line line = without_markdown(raw);
    out.n_items += line.item;
    if (line.text.empty()) {
      new_thought = true;
      continue;
    }
    if (!out.text.empty()) out.text += new_thought || line.item || line.heading ? '\n' : ' ';
    out.text += line.text;
    new_thought = line.heading || std::string_view(".!?:;\"").find(line.text.back()) != std::string_view::npos;
  }
  out.text = plain_start(with_apostrophes(out.text));
  return out;
}

OwnWords without_quotations(const std::string& plain) {
  static const Regex speaker("^([^\\W\\d][\\w .]{0,20}): \\S"), dash("^- ?\\S"), quoted("\"[^\"]{1,600}+\""), words("\\w\\W*+\\w\\W*+\\w\\W*+\\w"), blanks(" +"),
      said("\\b(?:said|says|replied|asked|answered|whispered|shouted|dijo|respondio|contesto|exclamo|pregunto|dit|repondit|s'ecria|demanda|sagte|antwortete|rief|"
           "fragte|сказал\\w*|ответил\\w*|спросил\\w*|прошептал\\w*|крикнул\\w*)\\b|と(?:言|答|叫)|说|說"),
      single("(?<!\\w)'(?!q')(?:[^'\\n]|(?<=\\w)'(?=\\w)){3,400}+'(?!\\w)");
  std::vector<std::string_view> lines = text::split(plain, "\n");
  std::vector<bool> spoken;
  for (const std::string_view line : lines) {
    const auto m = speaker.match(line);
    static const std::vector<std::string_view> own{"answer", "assistant", "response", "note", "ai", "bot"};
    spoken.push_back(m && std::find(own.begin(), own.end(), m->str(1)) == own.end());
  }
  const auto n_spoken = static_cast<size_t>(std::count(spoken.begin(), spoken.end(), true));
  const bool dialogue = n_spoken >= 2 && n_spoken * 2 >= lines.size();
  for (size_t i = 0; i < lines.size(); ++i)
    if ((dialogue && spoken[i]) || (dash.match(lines[i]) && said.search(lines[i]))) lines[i] = "\"q\"";
  OwnWords out;
  out.text = single.replace(quoted.replace(text::join(lines, "\n", 0, lines.size()), placeholder_quotation), placeholder_quotation);
  out.text = blanks.replace(out.text, one_blank);
  const std::string rest = text::replace_all(out.text, "\"q\"", "");
  if (!words.search(rest)) return {text::replace_all(plain, "\"", ""), false};
  out.quotes = rest.size() != out.text.size();
  return out;
}

}  // namespace temper
