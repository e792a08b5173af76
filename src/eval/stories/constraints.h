#pragma once
// The verifiable constraints of the suite `stories`, and whether an answer is coherent at all.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace temper {

/// Lower-case words: runs of a-z in the lower-cased text.
std::vector<std::string> story_words(std::string_view text);

/// Sentences: one ends with . ! or ? (several too), a closing quote perhaps, and then space or the end; a rest counts as one.
std::vector<std::string> story_sentences(std::string_view text);

/// Does `answer` satisfy this constraint?  All of it is lower-cased and trimmed first.
///   {"type": "words", "words": [...]}        each is a whole word of the answer
///   {"type": "min_sentences", "n": N}        at least N sentences
///   {"type": "max_sentences", "n": N}        1 to N sentences
///   {"type": "starts_with", "text": T}       begins with T; an opening quote before it is allowed
///   {"type": "ends_with", "text": T}         ends with T; a closing quote after it is allowed
/// Errors: Error{kData} for another type.
bool satisfies(std::string_view answer, const Json& constraint);

/// Is this text, or a loop or noise?  At least four words; at least 95 % of the words known (from `vocabulary` or the prompt); no
/// sentence of four words or more given more than twice; of 20 words and more, at least 60 % of the three-word sequences different.
bool is_coherent_story(std::string_view answer, std::string_view prompt, const std::set<std::string, std::less<>>& vocabulary);

}  // namespace temper
