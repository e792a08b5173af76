#pragma once
// Hand-written matchers for the two families of patterns that nearly all byte-level vocabularies use.
// Each is tested against the same pattern in PCRE2 and against Hugging Face tokenizers.

#include <string_view>
#include <vector>

#include "data/pre_tokenizer.h"

namespace temper {

/// GPT-2:  's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
void split_gpt2(std::string_view text, Piece piece, std::vector<Piece>& out);

/// DeepSeek-V3 and V4: these three in order, matches and the gaps between them both being pieces.
inline constexpr std::string_view kDeepSeekNumbers = R"(\p{N}{1,3})";
inline constexpr std::string_view kDeepSeekCjk = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
inline constexpr std::string_view kDeepSeekWords =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
void split_deepseek(std::string_view text, Piece piece, std::vector<Piece>& out);

}  // namespace temper
