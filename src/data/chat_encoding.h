#pragma once
// DeepSeek-V4's chat format: conversations -> the text the model was trained with -> token ids and loss weights.
//
// The format is code, not a template.  In short (docs/chat_format.md has all of it):
//   BOS system <｜User｜>question<｜Assistant｜></think>answer EOS                        chat mode
//   BOS system <｜User｜>question<｜Assistant｜><think>reasoning</think>answer EOS        thinking mode
// In thinking mode earlier turns lose their reasoning (drop_thinking) unless tools are declared.

#include <string>
#include <vector>

#include "base/config.h"
#include "data/conversation.h"
#include "data/sample_store.h"
#include "data/tokenizer.h"

namespace temper {

/// How a conversation is rendered.
struct ChatOptions {
  std::string thinking_mode = "chat";
  bool drop_thinking = true;
  std::string reasoning_effort = "";
  std::string release = "first";
  bool add_bos = true;

  template <class Visitor> void visit(Visitor& v) {
    v("thinking_mode", thinking_mode, "answers with (thinking) or without (chat) reasoning", one_of({"chat", "thinking"}));
    v("drop_thinking", drop_thinking, "leave the reasoning of earlier turns out, as the model is served; never with tools");
    v("reasoning_effort", reasoning_effort, "in thinking mode; first release: high, max; 0731: low, high, max; empty: its default", one_of({"", "low", "high", "max"}));
    v("release", release, "whose effort texts: of the first release, or of the refresh of 31 July", one_of({"first", "0731"}));
    v("add_bos", add_bos, "begin with the begin-of-sentence token");
  }
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

/// Ids to generate from; the last message decides how the answer begins.  An unfinished answer (wo_eos) is continued.
/// Errors: Error{kData} for an empty conversation, or if it ends with a finished answer.
std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const Conversation& conversation, const ChatOptions& options);

}  // namespace temper
