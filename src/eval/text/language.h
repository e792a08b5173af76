#pragma once
// Which language a text is written in: a port of langdetect 1.0.9 (Nakatani Shuyo's n-gram naive Bayes with random sampling).

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace temper::text {

/// Languages with a probability above 0.1, the most probable first, as langdetect.detect_langs.  Empty: "unknown".  nullopt where
/// langdetect raises ("No features in text").  `seed` is DetectorFactory.seed; the detection is random, but equal for equal seeds.
std::optional<std::vector<std::pair<std::string, double>>> detect_languages(std::string_view text, unsigned seed = 0);

/// langdetect.detect: the first of them, or "unknown".
std::optional<std::string> detect_language(std::string_view text, unsigned seed = 0);

}  // namespace temper::text
