#pragma once
// Reasoning in the forms that people store it in -> `reasoning_content` of a message.

#include <string>
#include <string_view>

#include "base/json.h"

namespace temper {

/// Rewrites one assistant message.  Reasoning is read from
///   - the fields reasoning_content, reasoning, thinking
///   - parts {"type": "thinking" | "reasoning"} of a content that is a list
///   - <think>...</think> at the start of the answer, behind white space too
///   - "...</think>" without the opening tag, as R1's answers are stored: its prompt ends with <think>
/// White space around it and line breaks behind it go: the format puts none there.  Blank reasoning is none.
/// A tag elsewhere stays text, and so does a single </think> that is quoted or a word of a sentence (see the .cpp).
/// Content that is a list of texts becomes one text, joined by blank lines.
/// Returns true if a tag is left in the answer.  Throws BadRow: reasoning given twice, a <think> at the start that does not end, a part that is not text.
bool normalise_reasoning(Json& message, const std::string& where);

/// The texts of `content`: a string, null (""), or a list of text parts and strings, joined by blank lines.  Throws BadRow.
std::string text_of_content(const Json& content, const std::string& where);

/// Without the white space around it.
std::string trimmed(std::string_view text);
bool is_blank(std::string_view text);

}  // namespace temper
