#include "data/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "data/regex.h"
#include "data/split_patterns.h"
#include "data/unicode.h"

namespace temper {
namespace {

[[noreturn]] void throw_unknown(const std::string& component, const std::string& where) {
  throw Error({.kind = ErrorKind::kData,
               .what = fmt::format("the pre-tokenizer has {}, which this program does not know", component),
               .where = where,
               .fix = "use a byte-level BPE tokenizer made of Sequence, Split, Digits and ByteLevel"});
}

enum class Behaviour { kIsolated, kRemoved, kContiguous, kMergedWithPrevious, kMergedWithNext };

Behaviour behaviour_of(const std::string& name, const std::string& where) {
  if (name == "Isolated") return Behaviour::kIsolated;
  if (name == "Removed") return Behaviour::kRemoved;
  if (name == "Contiguous") return Behaviour::kContiguous;
  if (name == "MergedWithPrevious") return Behaviour::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behaviour::kMergedWithNext;
  throw_unknown(fmt::format("Split with the behavior {:?}", name), where);
}

/// A match of the pattern, or the text between two of them.
struct Part {
  Piece piece;
  bool is_match;
};

void append_parts(const std::vector<Part>& parts, Behaviour behaviour, std::vector<Piece>& out) {
  const size_t first = out.size();
  const auto push = [&](const Part& part) { out.push_back(part.piece); };
  switch (behaviour) {
    case Behaviour::kIsolated:
      for (const Part& part : parts) push(part);
      break;
    case Behaviour::kRemoved:
      for (const Part& part : parts) {
        if (!part.is_match) push(part);
      }
      break;
    case Behaviour::kContiguous:
      for (size_t i = 0; i < parts.size(); ++i) {
        if (i > 0 && parts[i].is_match == parts[i - 1].is_match) out.back().end = parts[i].piece.end;
        else push(parts[i]);
      }
      break;
    case Behaviour::kMergedWithPrevious:
      for (size_t i = 0; i < parts.size(); ++i) {
        const bool joins = parts[i].is_match && i > 0 && !parts[i - 1].is_match;
        if (joins) out.back().end = parts[i].piece.end;
        else push(parts[i]);
      }
      break;
    case Behaviour::kMergedWithNext:
      for (size_t i = parts.size(); i-- > 0;) {
        const bool joins = parts[i].is_match && i + 1 < parts.size() && !parts[i + 1].is_match;
        if (joins) out.back().begin = parts[i].piece.begin;
        else push(parts[i]);
      }
      std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
      break;
  }
}

/// Finds the matches inside one piece; offsets are relative to it.
using FindAll = std::function<std::vector<Regex::Match>(std::string_view)>;

class SplitByPattern : public SplitStep {
 public:
  SplitByPattern(FindAll find_all, Behaviour behaviour, bool invert)
      : find_all_(std::move(find_all)), behaviour_(behaviour), invert_(invert) {}

  void split(std::string_view text, Piece piece, std::vector<Piece>& out) const override {
    std::vector<Part> parts;
    uint32_t at = piece.begin;
    for (const Regex::Match& match : find_all_(text.substr(piece.begin, piece.end - piece.begin))) {
      const uint32_t begin = piece.begin + static_cast<uint32_t>(match.begin), end = piece.begin + static_cast<uint32_t>(match.end);
      if (begin > at) parts.push_back({{at, begin}, invert_});
      parts.push_back({{begin, end}, !invert_});
      at = end;
    }
    if (at < piece.end) parts.push_back({{at, piece.end}, invert_});
    append_parts(parts, behaviour_, out);
  }

 private:
  FindAll find_all_;
  Behaviour behaviour_;
  bool invert_;
};

class HandWritten : public SplitStep {
 public:
  using Function = void (*)(std::string_view, Piece, std::vector<Piece>&);
  explicit HandWritten(Function function) : function_(function) {}
  void split(std::string_view text, Piece piece, std::vector<Piece>& out) const override { function_(text, piece, out); }

 private:
  Function function_;
};

FindAll find_string(std::string needle) {
  return [needle = std::move(needle)](std::string_view text) {
    std::vector<Regex::Match> matches;
    for (size_t at = text.find(needle); at != std::string_view::npos; at = text.find(needle, at + needle.size()))
      matches.push_back({at, at + needle.size()});
    return matches;
  };
}

FindAll find_regex(const std::string& pattern, const std::string& where) {
  return [regex = Regex(pattern, where)](std::string_view text) { return regex.find_all(text); };
}

std::vector<Regex::Match> find_digits(std::string_view text) {
  std::vector<Regex::Match> matches;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    if (char_class(c.code) == kNumber) matches.push_back({at, at + c.length});
    at += c.length;
  }
  return matches;
}

using Steps = std::vector<std::shared_ptr<const SplitStep>>;

bool flag(const Json& json, const char* key, bool otherwise) {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

std::string text_member(const Json& json, std::string_view key, const std::string& where) {
  const Json& value = json_member(json, key, where);
  if (!value.is_string()) {
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("\"{}\" must be a string", key), .where = where, .fix = "take the file as its maker published it"});
  }
  return value.get<std::string>();
}

void append_split(const Json& json, const std::string& where, Steps& steps) {
  const Json& pattern = json_member(json, "pattern", where);
  const Behaviour behaviour = behaviour_of(text_member(json, "behavior", where), where);
  FindAll find_all;
  if (pattern.is_object() && pattern.contains("Regex")) {
    find_all = find_regex(text_member(pattern, "Regex", where), where);
  } else {
    std::string needle = text_member(pattern, "String", where);
    if (needle.empty()) throw_unknown("Split by an empty string", where);
    find_all = find_string(std::move(needle));
  }
  steps.push_back(std::make_shared<SplitByPattern>(std::move(find_all), behaviour, flag(json, "invert", false)));
}

void append_byte_level(const Json& json, const std::string& where, PreTokenizer::Options options, Steps& steps) {
  if (flag(json, "add_prefix_space", true)) throw_unknown("ByteLevel with add_prefix_space = true", where);
  if (!flag(json, "use_regex", true)) return;
  if (options.handwritten) {
    steps.push_back(std::make_shared<HandWritten>(split_gpt2));
  } else {
    steps.push_back(std::make_shared<SplitByPattern>(find_regex(std::string(kGpt2Pattern), where), Behaviour::kIsolated, false));
  }
}

void append_steps(const Json& json, const std::string& where, PreTokenizer::Options options, Steps& steps) {
  const std::string type = text_member(json, "type", where);
  if (type == "Sequence") {
    const Json& members = json_member(json, "pretokenizers", where);
    if (!members.is_array()) throw_unknown("a Sequence without a list", where);
    for (const Json& member : members) {
      if (member.is_object() && member.value("type", Json()) == "Sequence") throw_unknown("a Sequence inside a Sequence", where);
      append_steps(member, where, options, steps);
    }
  } else if (type == "Split") {
    append_split(json, where, steps);
  } else if (type == "Digits") {
    const bool each = flag(json, "individual_digits", false);
    steps.push_back(std::make_shared<SplitByPattern>(find_digits, each ? Behaviour::kIsolated : Behaviour::kContiguous, false));
  } else if (type == "ByteLevel") {
    append_byte_level(json, where, options, steps);
  } else {
    throw_unknown(type, where);
  }
}

/// Only what decides the cuts: patterns, behaviours and flags, without offsets and spelled-out defaults.
bool is_deepseek(const Json& json) {
  const Json wanted = deepseek_pre_tokenizer();
  if (json.value("type", Json()) != "Sequence" || !json.contains("pretokenizers")) return false;
  const Json &found = json["pretokenizers"], &needed = wanted["pretokenizers"];
  if (!found.is_array() || found.size() != needed.size()) return false;
  for (size_t i = 0; i < needed.size(); ++i) {
    if (!found[i].is_object()) return false;
    for (const char* key : {"type", "pattern", "behavior", "invert", "add_prefix_space", "use_regex"}) {
      if (found[i].value(key, Json()) != needed[i].value(key, Json())) return false;
    }
  }
  return true;
}

Json isolated_split(std::string_view pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

}  // namespace

Json deepseek_pre_tokenizer() {
  Json members = Json::array();
  for (const std::string_view pattern : {kDeepSeekNumbers, kDeepSeekCjk, kDeepSeekWords}) members.push_back(isolated_split(pattern));
  members.push_back(byte_level(/*use_regex=*/false));
  return {{"type", "Sequence"}, {"pretokenizers", members}};
}

Json gpt2_pre_tokenizer() { return byte_level(/*use_regex=*/true); }

PreTokenizer PreTokenizer::from_json(const Json& json, const std::string& where, Options options) {
  PreTokenizer made;
  if (!json.is_object()) throw_unknown("no component", where);
  if (options.handwritten && is_deepseek(json)) {
    made.steps_.push_back(std::make_shared<HandWritten>(split_deepseek));
  } else {
    append_steps(json, where, options, made.steps_);
  }
  return made;
}

void PreTokenizer::split(std::string_view text, std::vector<Piece>& out) const {
  out.clear();
  if (text.empty()) return;
  const Piece whole{0, static_cast<uint32_t>(text.size())};
  if (steps_.empty()) {
    out.push_back(whole);
    return;
  }
  steps_.front()->split(text, whole, out);
  std::vector<Piece> before;
  for (size_t i = 1; i < steps_.size(); ++i) {
    before.swap(out);
    out.clear();
    for (const Piece& piece : before) steps_[i]->split(text, piece, out);
  }
}

}  // namespace temper
