#pragma once
// What `temper generate` and `temper chat` share: the model with its tokenizer, and the options of sampling.

#include <memory>

#include "app/commands.h"
#include "checkpoint/load_model.h"
#include "rollout/prompts.h"

namespace temper {

struct GenerationOptions {
  std::string model = {}, tokenizer = {}, dtype = "float32";
  double temperature = 1.0, top_p = 1.0;
  int64_t top_k = 0, max_new_tokens = 512, max_batch = 32;
  uint64_t seed = 0;
  bool plain = false, raw = false, no_bos = false, fp4_indexer = false;
  std::string system = {};
  std::vector<std::string> stop = {};
  ChatOptions chat = {};

  SamplingConfig sampling() const { return {.temperature = temperature, .top_p = top_p, .top_k = top_k, .seed = seed}; }
};

/// Adds the options to the command line; the defaults are those in `options`.
void add_generation_options(const Command& command, GenerationOptions& options);

/// A model ready to write.
class Generator {
 public:
  /// Errors  as load_model and Tokenizer::load; kConfig for sampling values out of bounds
  explicit Generator(const GenerationOptions& options);

  const Tokenizer& tokenizer() const { return tokenizer_; }
  Engine& engine() { return *engine_; }
  /// What the answers to these requests depend on (rollout/answer_journal.h).
  Json answers_depend_on(const std::vector<Request>& requests) const;
  /// Requests with the options' sampling and stops; `index` keys the random numbers.
  Request continue_text(std::string_view text, uint64_t index) const;
  Request answer(const Conversation& conversation, uint64_t index) const;
  Request answer(const Conversation& conversation, uint64_t index, bool thinking) const;

 private:
  EngineConfig engine_config() const;
  Request request(std::vector<int64_t> prompt_ids, bool chat, uint64_t index) const;

  GenerationOptions options_;
  LoadedModel loaded_;
  Tokenizer tokenizer_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace temper
