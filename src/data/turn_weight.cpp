#include "data/turn_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string_view>
#include <vector>

#include "data/python_json.h"

namespace temper {
namespace {

constexpr std::array<std::string_view, 4> kFlags{"weight", "loss", "train", "mask"};

std::string trimmed_lower(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  std::string out(text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin));
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// The number that a value stands for: true and "yes" are 1.
std::optional<double> number_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string word = trimmed_lower(value.get_ref<const std::string&>());
  for (const char* yes : {"true", "yes", "on"})
    if (word == yes) return 1.0;
  for (const char* no : {"false", "no", "off"})
    if (word == no) return 0.0;
  double number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size() ? std::optional(number) : std::nullopt;
}

/// "lossMask" and "loss-mask" -> loss, mask.
std::vector<std::string> words_of(std::string_view key) {
  std::vector<std::string> words(1);
  for (size_t i = 0; i < key.size(); ++i) {
    const auto c = static_cast<unsigned char>(key[i]);
    const bool hump = std::isupper(c) && i > 0 && std::islower(static_cast<unsigned char>(key[i - 1]));
    if ((!std::isalnum(c) || hump) && !words.back().empty()) words.emplace_back();
    if (std::isalnum(c)) words.back() += static_cast<char>(std::tolower(c));
  }
  return words;
}

bool among(const std::string& word, std::initializer_list<std::string_view> words) { return std::find(words.begin(), words.end(), word) != words.end(); }

bool says_training(const std::string& word) {
  return among(word, {"weight", "weights", "weighted", "loss", "losses", "noloss", "mask", "masks", "masked", "masking", "unmask", "unmasked", "train", "trained", "trainable",
                      "training", "untrained", "untrainable", "notrain", "learn", "learned", "learnable", "supervise", "supervised", "backprop"});
}
/// Other words of such keys.
bool is_filler(const std::string& word) {
  return among(word, {"no", "not", "do", "is", "on", "of", "in", "to", "for", "from", "the", "this", "only", "ignore", "skip", "exclude", "include", "use", "used", "with", "compute",
                      "calculate", "calc", "should", "scale", "factor", "multiplier", "step", "steps", "turn", "turns", "token", "tokens", "sample", "row", "message", "messages",
                      "detail", "details", "flag", "input", "inputs", "output", "outputs", "prompt", "prompts", "history", "last", "final", "assistant", "user", "completion",
                      "response", "responses", "answer", "answers", "target", "targets", "label", "labels", "role", "roles", "eos"});
}

std::string unread_flag(const Json& object, bool whole_key) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || key == "mask_history" || std::find(kFlags.begin(), kFlags.end(), key) != kFlags.end()) continue;
    const std::vector<std::string> words = words_of(key);
    if (std::none_of(words.begin(), words.end(), says_training)) continue;
    if (!whole_key || std::all_of(words.begin(), words.end(), [](const std::string& word) { return says_training(word) || is_filler(word); })) return key;
  }
  return "";
}

}  // namespace

WeightFlags weight_flags(const Json& object) {
  WeightFlags out;
  std::string first;   // the flag that gave out.weight, as written
  for (const std::string_view flag : kFlags) {
    const auto found = object.find(std::string(flag));
    if (found == object.end() || found->is_null()) continue;
    const std::string written = fmt::format("\"{}\": {}", flag, python_json_text(*found));
    const std::optional<double> number = number_of(*found);
    const bool takes_numbers = flag == "weight" || flag == "loss";
    const bool graded = flag == "weight" || (flag == "loss" && found->is_number());   // else "trained", whatever the weight is
    const bool usable = number && (takes_numbers ? *number >= 0 && std::isfinite(static_cast<float>(*number)) : *number == 0 || *number == 1);
    if (!usable) return {std::nullopt, fmt::format("{}: it must be {}", written, takes_numbers ? "a number >= 0, true or false" : "true or false")};
    const auto weight = static_cast<float>(flag == "mask" ? 1 - *number : *number);
    if (weight == 0 && *number > 0 && takes_numbers) return {std::nullopt, written + " is so small that it would count as 0"};
    if (out.weight && *out.weight != weight && !(!graded && weight == 1 && *out.weight > 0))
      return {std::nullopt, fmt::format("{} and {} say different things (mask: true and weight, loss, train: 0 or false mean \"not trained\")", first, written)};
    if (!out.weight) {
      out.weight = weight;
      first = written;
    }
  }
  return out;
}

void set_weight(Json& object, float weight) {
  for (const std::string_view flag : kFlags) object.erase(std::string(flag));
  object["weight"] = weight;
}

std::string unread_flag_of_turn(const Json& turn) { return unread_flag(turn, /*whole_key=*/false); }
std::string unread_flag_of_row(const Json& row) { return unread_flag(row, /*whole_key=*/true); }

}  // namespace temper
