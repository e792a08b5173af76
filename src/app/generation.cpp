#include "app/generation.h"

#include "app/chat_options.h"
#include "rollout/answer_journal.h"

namespace temper {

void add_generation_options(const Command& command, GenerationOptions& options) {
  command.option("--model", options.model, "model folder, or training checkpoint (with --tokenizer)").required();
  command.option("--tokenizer", options.tokenizer, "folder of the tokenizer, where it is not the model's");
  command.option("--max-new-tokens", options.max_new_tokens, "longest answer").between(1, static_cast<int>(kMostNewTokens)).show_default();
  command.option("--temperature", options.temperature, "divides the logits; 0 = always the most probable token").show_default();
  command.option("--top-p", options.top_p, "draw from the fewest most probable tokens that reach this probability").show_default();
  command.option("--top-k", options.top_k, "draw from so many most probable tokens; 0 = all").show_default();
  command.option("--seed", options.seed, "of the draws").show_default();
  command.option("--stop", options.stop, "text that ends an answer; may be given several times");
  command.option("--dtype", options.dtype, "what is computed in").one_of({"float32", "bfloat16"}).show_default();
  add_chat_options(command, options.chat);
  command.flag("--fp4-indexer", options.fp4_indexer, "quantise the indexer's queries and keys, as models trained so are served");
  command.flag("--no-bos", options.no_bos, "plain texts do not begin with the begin-of-sentence token");
}

Generator::Generator(const GenerationOptions& options)
    : options_(options), loaded_(load_model(options.model, {.compute_dtype = parse_dtype(options.dtype), .mtp = false})),
      tokenizer_(load_matching_tokenizer(options.tokenizer.empty() ? options.model : options.tokenizer, loaded_.weights.config().vocab_size)) {
  check_sampling(options.sampling(), "command line");
  if (!options.plain) options_.chat = with_release(options.chat, {options.model, options.tokenizer.empty() ? options.model : options.tokenizer});
  engine_ = std::make_unique<Engine>(loaded_.weights, tokenizer_, engine_config());
}

EngineConfig Generator::engine_config() const { return {.max_batch = options_.max_batch, .fp4_indexer = options_.fp4_indexer}; }

Json Generator::answers_depend_on(const std::vector<Request>& requests) const {
  return temper::answers_depend_on(loaded_.weights, tokenizer_, requests, engine_config());
}

Request Generator::request(std::vector<int64_t> prompt_ids, bool chat, uint64_t index) const {
  return {.prompt_ids = std::move(prompt_ids), .sampling = options_.sampling(), .max_new_tokens = options_.max_new_tokens, .stop_ids = end_ids(tokenizer_, chat),
          .stop_strings = options_.stop, .index = index};
}

Request Generator::continue_text(std::string_view text, uint64_t index) const {
  return request(plain_prompt(tokenizer_, text, !options_.no_bos), false, index);
}

Request Generator::answer(const Conversation& conversation, uint64_t index) const {
  return answer(conversation, index, options_.chat.thinking_mode == "thinking");
}

Request Generator::answer(const Conversation& conversation, uint64_t index, bool thinking) const {
  ChatOptions chat = options_.chat;
  chat.thinking_mode = thinking ? "thinking" : "chat";
  return request(chat_prompt(tokenizer_, conversation, chat), true, index);
}

}  // namespace temper
