#pragma once
// The 25 kinds of verifiable instructions of IFEval (Zhou et al. 2023, arXiv 2311.07911) and their checks.
// Each decides as the official checker does in Python; docs/evaluation.md has the rules in words.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace temper {

/// True if the response follows the instruction.  The response is not blank (blank ones fail everything, see follows()).
using Check = std::function<bool(const std::string& response)>;

/// The check of one instruction, e.g. {"length_constraints:number_words", {"num_words": 300, "relation": "at least"}}.
/// `random_letter` stands in where letter_frequency asks for something that is not a letter: the official checker then draws one.
/// Errors  Error{kData} for an unknown id, a missing argument, or one of the wrong type; `where` is repeated in it.
Check make_check(const std::string& id, const Json& arguments, char random_letter, const std::string& where);

/// True if letter_frequency with these arguments draws a random letter.
bool draws_letter(const std::string& id, const Json& arguments);

/// Strict: the response as it is.  A blank response follows nothing.
bool follows_strict(const Check& check, const std::string& response);

/// Loose: one of eight variants passes: {whole, without first line, without last, without both} x {as is, without asterisks}.
bool follows_loose(const Check& check, const std::string& response);

/// All 25 ids, sorted.
std::vector<std::string> instruction_ids();

}  // namespace temper
