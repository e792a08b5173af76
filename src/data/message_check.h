#pragma once
// What a list of chat messages must satisfy before it is trained on.

#include <string>
#include <string_view>

#include "data/turns.h"

namespace temper {

/// The first token of the chat encoding written out in a text ("<｜User｜>"), or "".  Trained as text it would teach the model
/// to forge turns.
std::string control_token_in(std::string_view text);

/// Throws BadRow at the first rule of row_format.h that is broken.
void check_turns(const Turns& turns);

}  // namespace temper
