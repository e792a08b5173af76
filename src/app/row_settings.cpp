#include "app/row_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace temper {
namespace {

constexpr std::array kLimits = {"max_tokens", "max_new_tokens", "max_completion_tokens"};
constexpr std::array kFollowed = {"max_tokens", "max_new_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "seed"};

// Settings of other programs, with the value that asks for nothing.
struct Unfollowed {
  const char *key, *neutral;
};
constexpr Unfollowed kUnfollowed[] = {
    {"n", "1"}, {"best_of", "1"}, {"num_return_sequences", "1"}, {"presence_penalty", "0"}, {"frequency_penalty", "0"}, {"repetition_penalty", "1"},
    {"length_penalty", "1"}, {"no_repeat_ngram_size", "0"}, {"logit_bias", "{}"}, {"min_p", "0"}, {"top_a", "0"}, {"tfs_z", "1"}, {"typical_p", "1"},
    {"mirostat", "0"}, {"logprobs", "false"}, {"top_logprobs", "0"}, {"prompt_logprobs", "0"}, {"echo", "false"}, {"suffix", "\"\""}, {"stream", "false"},
    {"num_beams", "1"}, {"use_beam_search", "false"}, {"do_sample", "true"}, {"min_tokens", "0"}, {"min_new_tokens", "0"}, {"min_length", "0"},
    {"max_length", "null"}, {"ignore_eos", "false"}, {"eos_token_id", "null"}, {"stop_token_ids", "[]"}, {"bad_words", "[]"}, {"response_format", "{\"type\":\"text\"}"},
    {"guided_json", "null"}, {"guided_regex", "null"}, {"guided_choice", "null"}, {"guided_grammar", "null"}, {"grammar", "null"}, {"json_schema", "null"},
    {"tool_choice", "\"auto\""}, {"skip_special_tokens", "true"}, {"thinking_mode", "null"}, {"enable_thinking", "null"}, {"chat_template_kwargs", "{}"},
    {"reasoning_effort", "null"}, {"generation_config", "{}"}, {"sampling_params", "{}"}, {"stop_sequences", "[]"}, {"max_output_tokens", "null"},
};

class Reader {
 public:
  Reader(const Json& row, const std::string& where, Request& request) : row_(row), where_(where), request_(request) {}

  void read() {
    for (const auto& [key, value] : row_.items()) refuse_unfollowed(key, value);
    limit();
    number("temperature", request_.sampling.temperature, [](double t) { return t >= 0; }, "a number of at least 0");
    number("top_p", request_.sampling.top_p, [](double p) { return p > 0 && p <= 1; }, "a number above 0, at most 1");
    integer("top_k", request_.sampling.top_k, 0, "a whole number from 0 (all) to 2^31-1");
    if (const Json* value = find("seed")) {
      if (!value->is_number_unsigned()) refuse("seed", *value, "a whole number from 0 to 2^64-1");
      request_.sampling.seed = value->get<uint64_t>();
    }
    stops();
  }

 private:
  [[noreturn]] void refuse(const std::string& key, const Json& value, const std::string& needed) const {
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("\"{}\" is {}, it must be {}", key, value.dump(), needed), .where = where_, .fix = "correct the value, or leave the key out"});
  }

  const Json* find(const char* key) const {
    const auto found = row_.find(key);
    return found == row_.end() || found->is_null() ? nullptr : &*found;
  }

  void limit() {
    const char* before = nullptr;
    for (const char* key : kLimits) {
      const int64_t other = request_.max_new_tokens;
      if (!find(key)) continue;
      integer(key, request_.max_new_tokens, 1, "a whole number from 1 to 2^31-1");
      if (before && other != request_.max_new_tokens)
        throw Error({.kind = ErrorKind::kData, .what = fmt::format("\"{}\" is {}, but \"{}\" is {}", before, other, key, request_.max_new_tokens), .where = where_, .fix = "keep one of the two"});
      before = key;
    }
  }

  void integer(const char* key, int64_t& into, int64_t least, const char* needed) const {
    const Json* value = find(key);
    if (!value) return;
    const bool whole = value->is_number_unsigned() || (value->is_number_float() && value->get<double>() == std::floor(value->get<double>()) && value->get<double>() >= 0);
    const double size = whole ? value->get<double>() : -1;   // 3.0 is a 3 that passed through a language without whole numbers
    if (size < static_cast<double>(least) || size > static_cast<double>(kMostNewTokens)) refuse(key, *value, needed);
    into = static_cast<int64_t>(size);
  }

  template <class Fits>
  void number(const char* key, double& into, Fits fits, const char* needed) const {
    const Json* value = find(key);
    if (!value) return;
    if (!value->is_number() || !std::isfinite(value->get<double>()) || !fits(value->get<double>())) refuse(key, *value, needed);
    into = value->get<double>();
  }

  void stops() {
    const Json* value = find("stop");
    if (!value) return;
    std::vector<std::string> texts;
    const auto add = [&](const Json& text) {
      if (!text.is_string() || text.get_ref<const std::string&>().empty()) refuse("stop", *value, "a text or a list of texts, none of them empty");
      texts.push_back(text.get<std::string>());
    };
    if (value->is_array()) std::for_each(value->begin(), value->end(), add);
    else add(*value);
    request_.stop_strings = std::move(texts);
  }

  void refuse_unfollowed(const std::string& key, const Json& value) const {
    if (value.is_null() || std::find(kFollowed.begin(), kFollowed.end(), key) != kFollowed.end()) return;
    for (const Unfollowed& known : kUnfollowed) {
      if (key != known.key) continue;
      if (value == Json::parse(known.neutral)) return;
      throw Error({.kind = ErrorKind::kData, .what = fmt::format("\"{}\" is {}, which `temper generate` does not follow", key, value.dump()), .where = where_,
                   .fix = "leave the key out; rows may hold max_tokens, temperature, top_p, top_k, stop and seed, other settings are options of the command"});
    }
    for (const char* followed : kFollowed)
      if (letters_of(key) == letters_of(followed) || is_misspelt(key, followed))
        throw Error({.kind = ErrorKind::kData, .what = fmt::format("\"{}\" is not a setting; \"{}\" is", key, followed), .where = where_, .fix = fmt::format("write \"{}\", or give the key another name", followed)});
  }

  // "topP", "top-p" -> "topp".
  static std::string letters_of(std::string_view key) {
    std::string letters;
    for (const char c : key)
      if (c != '_' && c != '-' && c != ' ') letters += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return letters;
  }

  // One letter left out, added, changed, or two exchanged, in a long name.
  static bool is_misspelt(std::string_view key, std::string_view name) {
    if (name.size() < 8 || key.size() + 1 < name.size() || key.size() > name.size() + 1) return false;
    const size_t front = static_cast<size_t>(std::mismatch(key.begin(), key.end(), name.begin(), name.end()).first - key.begin());
    const std::string_view a = key.substr(front), b = name.substr(front);
    const auto rest = [](std::string_view text, size_t n) { return text.substr(std::min(n, text.size())); };
    return rest(a, 1) == rest(b, 1) || rest(a, 1) == b || a == rest(b, 1) || (a.size() > 1 && b.size() > 1 && a[0] == b[1] && a[1] == b[0] && rest(a, 2) == rest(b, 2));
  }

  const Json& row_;
  const std::string& where_;
  Request& request_;
};

}  // namespace

void take_row_settings(const Json& row, const std::string& where, Request& request) { Reader(row, where, request).read(); }

}  // namespace temper
