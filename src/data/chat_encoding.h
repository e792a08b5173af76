#pragma once
// DeepSeek-V4's chat format: conversations -> the text the model was trained with -> token ids and loss weights.
//
// The format is code, not a template.  In short (docs/chat_format.md has all of it):
//   BOS system <｜User｜>question<｜Assistant｜></think>answer EOS                        chat mode
//   BOS system <｜User｜>question<｜Assistant｜><think>reasoning</think>answer EOS        thinking mode
// In thinking mode earlier turns lose their reasoning (drop_thinking) unless tools are declared.

#include <string>
#include <vector>

#include "data/conversation.h"
#include "data/sample_store.h"
#include "data/tokenizer.h"

namespace temper {

/// How a conversation is rendered.
struct ChatOptions {
  std::string thinking_mode = "chat";   // or "thinking": with reasoning
  bool drop_thinking = true;            // leave the reasoning of earlier turns out, as the model is served; never with tools
  std::string release = "auto";         // "preview" or "0731": whose effort texts (data/chat_release.h); "auto": not known, no effort
  std::string effort = "";              // in thinking mode; empty: the release's default
  bool add_bos = true;
  bool allow_system_last = false;   // prompts only: continue a text in which nobody has asked for an answer
};

/// The text of `conversation`.  `context`: messages that stand before it and are rendered already.  It counts for the rules
/// (tools, last user turn), but is not part of the text, and then there is no BOS.
/// Errors: Error{kConfig} for an effort that the release does not have.
/// Source: official encoder; its fixtures and 47 derived conversations are in tests/data/chat_encoding_test.cpp.
std::string render_chat(const Conversation& conversation, const ChatOptions& options, const Conversation& context = {});

/// Ids and loss weights of one sample.  Trained (weight of the message) are the tokens the model has to write: reasoning,
/// its </think>, content, tool calls, EOS.  Everything else weighs 0: prompts up to <think> or </think>, users, tool results,
/// unfinished answers (wo_eos), messages with mask, and, where reasoning is dropped, the turns before the last user: they stand
/// there as they are served, but were not written that way (see expand_turns).
/// Weights go by position: EOS is trained where it ends an answer, although padding has the same id.
/// Only the format's own control tokens become control tokens: what messages contain is encoded as ordinary text, each
/// maximal run at once, so that ids equal those of the whole text.
/// Errors: Error{kData} if the tokenizer lacks a control token of the format.
EncodedSample encode_for_training(const Tokenizer& tokenizer, const Conversation& conversation, const ChatOptions& options);

/// Splits a dialogue so that every answer is trained as it would be written.  Where text never changes later (chat mode,
/// tools declared, drop_thinking off) that is one sample.  Where earlier reasoning is dropped, each user turn with a trained
/// answer becomes a sample that ends with it.
std::vector<Conversation> expand_turns(const Conversation& conversation, const ChatOptions& options);

/// Is there an assistant (or task) token before what follows messages[..i]?  False after a system message.
bool opens_answer(const std::vector<ChatMessage>& messages, size_t i);

/// Ids to generate from; the last message decides how the answer begins.  An unfinished answer (wo_eos) is continued.
/// Errors: Error{kData} for an empty conversation, if it ends with a finished answer, or if nobody has asked for one: after a
/// system message (or a reminder that follows no user) the format has no assistant token, so the model would continue that
/// text instead of answering.  options.allow_system_last lets that pass.
std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const Conversation& conversation, const ChatOptions& options);

}  // namespace temper
