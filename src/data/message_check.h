#pragma once
// What a list of chat messages must satisfy before it is trained on.

#include <string>
#include <string_view>

#include "base/json.h"

namespace temper {

/// The first token of the chat encoding written out in a text ("<｜User｜>"), or "".  Trained as text it would teach the model
/// to forge turns.
std::string control_token_in(std::string_view text);

/// `reasoning`, `thinking` and <think>...</think> at the start of an answer become `reasoning_content`.
void normalise_reasoning(Json& messages);

/// Throws BadRow at the first rule of row_format.h that is broken.
void check_messages(const Json& messages);

}  // namespace temper
