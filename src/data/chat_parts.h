#pragma once
// The inside of the chat format: messages in the form that is rendered, and the parts a rendering consists of.

#include <string>
#include <vector>

#include "data/chat_encoding.h"

namespace temper::detail {

/// A stretch of rendered text.
struct ChatPart {
  enum class Kind {
    kControl,   // exactly one control token, which the tokenizer must have
    kTemplate,  // text of the format; control tokens in it count
    kOrdinary,  // text of a message; nothing in it is a control token
  };
  Kind kind;
  std::string text;
  float weight = 0;  // in the loss
};

/// Messages with tool results moved into user turns, and those sorted as their calls are.
std::vector<ChatMessage> merged_messages(const std::vector<ChatMessage>& messages);

/// Is earlier reasoning left out?
bool drops_thinking(const std::vector<ChatMessage>& messages, const ChatOptions& options);

/// Renders `conversation` behind `context`.
std::vector<ChatPart> chat_parts(const Conversation& conversation, const ChatOptions& options, const Conversation& context);

}  // namespace temper::detail
