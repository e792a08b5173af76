#include "data/chat_encoding.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "data/chat_parts.h"

namespace temper {
namespace {

using detail::ChatPart;

/// Gathers maximal runs of ordinary text, so that merges across parts happen as in the whole text.
class PartEncoder {
 public:
  explicit PartEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void add(const ChatPart& part) {
    switch (part.kind) {
      case ChatPart::Kind::kControl: add_control(part); break;
      case ChatPart::Kind::kOrdinary: extend_run(part.text, part.weight); break;
      case ChatPart::Kind::kTemplate:
        for (const TextPart& piece : tokenizer_.find_added(part.text)) {
          if (piece.id < 0) {
            extend_run(std::string_view(part.text).substr(piece.begin, piece.end - piece.begin), part.weight);
          } else {
            flush();
            push(piece.id, part.weight);
          }
        }
        break;
    }
  }

  EncodedSample finish() {
    flush();
    return std::move(sample_);
  }

 private:
  struct Stretch {
    size_t end;  // in run_
    float weight;
  };

  void push(int32_t id, float weight) {
    sample_.ids.push_back(id);
    sample_.weights.push_back(weight);
  }

  void add_control(const ChatPart& part) {
    const std::optional<int32_t> id = tokenizer_.added_id(part.text);
    if (!id) {
      throw Error({.kind = ErrorKind::kData,
                   .what = fmt::format("the tokenizer has no control token {}", part.text),
                   .where = "chat encoding",
                   .fix = "use a tokenizer with DeepSeek-V4's chat tokens, or train one with `temper tokenizer train`"});
    }
    flush();
    push(*id, part.weight);
  }

  void extend_run(std::string_view text, float weight) {
    if (text.empty()) return;
    run_ += text;
    stretches_.push_back({run_.size(), weight});
  }

  /// A token across two stretches has the smaller weight: nothing of a prompt is trained.
  void flush() {
    if (run_.empty()) return;
    run_ids_.clear();
    tokenizer_.append_ordinary(run_, run_ids_);
    size_t begin = 0, stretch = 0;
    for (const int32_t id : run_ids_) {
      const size_t end = begin + tokenizer_.bytes_of(id)->size();
      while (stretches_[stretch].end <= begin) ++stretch;
      float weight = stretches_[stretch].weight;
      for (size_t s = stretch; stretches_[s].end < end; ++s) weight = std::min(weight, stretches_[s + 1].weight);
      push(id, weight);
      begin = end;
    }
    run_.clear();
    stretches_.clear();
  }

  const Tokenizer& tokenizer_;
  EncodedSample sample_;
  std::string run_;
  std::vector<Stretch> stretches_;
  std::vector<int32_t> run_ids_;
};

EncodedSample encode_parts(const Tokenizer& tokenizer, const std::vector<ChatPart>& parts) {
  PartEncoder encoder(tokenizer);
  for (const ChatPart& part : parts) encoder.add(part);
  return encoder.finish();
}

}  // namespace

std::string render_chat(const Conversation& conversation, const ChatOptions& options, const Conversation& context) {
  std::string text;
  for (const ChatPart& part : detail::chat_parts(conversation, options, context)) text += part.text;
  return text;
}

EncodedSample encode_for_training(const Tokenizer& tokenizer, const Conversation& conversation, const ChatOptions& options) {
  return encode_parts(tokenizer, detail::chat_parts(conversation, options, {}));
}

std::vector<Conversation> expand_turns(const Conversation& conversation, const ChatOptions& options) {
  const std::vector<ChatMessage> messages = detail::merged_messages(conversation.messages);
  if (options.thinking_mode != "thinking" || !detail::drops_thinking(messages, options)) return {conversation};
  std::vector<Conversation> samples;
  bool answered = false;  // in the turn that is open
  size_t end = 0;                        // behind its last answer
  const auto close_turn = [&] {
    if (answered) samples.push_back({{messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(end)}});
    answered = false;
  };
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == Role::kUser || messages[i].role == Role::kDeveloper) {
      close_turn();
    } else if (messages[i].role == Role::kAssistant) {
      answered = answered || (messages[i].weight > 0 && !messages[i].wo_eos);
      end = i + 1;
    }
  }
  close_turn();
  return samples;
}

bool opens_answer(const std::vector<ChatMessage>& messages, size_t i) {
  if (messages[i].task) return true;
  switch (messages[i].role) {
    case Role::kUser:
    case Role::kDeveloper:
    case Role::kTool: return true;
    case Role::kLatestReminder: return i > 0 && opens_answer(messages, i - 1);   // the token is written before it
    case Role::kAssistant: return messages[i].wo_eos && i > 0 && opens_answer(messages, i - 1);
    case Role::kSystem: return false;
  }
  return false;
}

std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const Conversation& conversation, const ChatOptions& options) {
  const auto fail = [](std::string what, std::string fix) {
    throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = "the prompt", .fix = std::move(fix)});
  };
  if (conversation.messages.empty()) fail("the conversation is empty", "give at least one user message");
  const ChatMessage& last = conversation.messages.back();
  if (last.role == Role::kAssistant && !last.wo_eos && !last.task) fail("the conversation ends with a finished answer: there is nothing to generate", "end it with a user message, or set wo_eos on the answer to continue it");
  if (!options.allow_system_last && !opens_answer(conversation.messages, conversation.messages.size() - 1))
    fail(fmt::format("the conversation ends with a message of role {} and nobody asks for an answer: the format has no assistant token there, so the model would continue that text", role_name(last.role)),
         "end it with a user message, or allow it with --allow-system-last to have the text continued");
  return encode_parts(tokenizer, detail::chat_parts(conversation, options, {})).ids;
}

}  // namespace temper
