#pragma once
// From texts and conversations to what the engine takes.

#include <string>
#include <string_view>
#include <vector>

#include "data/chat_encoding.h"
#include "rollout/engine.h"

namespace temper {

/// A text to be continued, as base models are used: its ids as ordinary text (control tokens in it have no power), after the
/// begin-of-sentence token if asked for and if the tokenizer has one.
std::vector<int64_t> plain_prompt(const Tokenizer& tokenizer, std::string_view text, bool add_bos = true);

/// A conversation whose next message the model writes (data/chat_encoding.h).
std::vector<int64_t> chat_prompt(const Tokenizer& tokenizer, const Conversation& conversation, const ChatOptions& options);

/// What ends an answer: the end-of-sentence token, and in a chat also the token that would begin a user's turn.
std::vector<int64_t> end_ids(const Tokenizer& tokenizer, bool chat);

}  // namespace temper
