#include "rollout/prompts.h"

#include "data/chat_tokens.h"

namespace temper {

std::vector<int64_t> plain_prompt(const Tokenizer& tokenizer, std::string_view text, bool add_bos) {
  std::vector<int32_t> ids;
  if (add_bos && tokenizer.has_bos()) ids.push_back(tokenizer.bos_id());
  tokenizer.append_ordinary(text, ids);
  return {ids.begin(), ids.end()};
}

std::vector<int64_t> chat_prompt(const Tokenizer& tokenizer, const Conversation& conversation, const ChatOptions& options) {
  const std::vector<int32_t> ids = encode_prompt(tokenizer, conversation, options);
  return {ids.begin(), ids.end()};
}

std::vector<int64_t> end_ids(const Tokenizer& tokenizer, bool chat) {
  std::vector<int64_t> ids;
  if (tokenizer.has_eos()) ids.push_back(tokenizer.eos_id());
  const auto user = chat ? tokenizer.id_of(chat::kUser) : std::nullopt;
  if (user) ids.push_back(*user);
  return ids;
}

}  // namespace temper
