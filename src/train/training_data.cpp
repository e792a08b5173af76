#include "train/training_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/threads.h"
#include "data/chat_encoding.h"
#include "model/deepseek_v4/positions.h"

namespace temper {
namespace {

EncodedSample encode_text(const std::string& text, float weight, const Tokenizer& tokenizer) {
  EncodedSample sample;
  if (tokenizer.has_bos()) sample.ids.push_back(tokenizer.bos_id());
  tokenizer.append_ordinary(text, sample.ids);
  if (tokenizer.has_eos()) sample.ids.push_back(tokenizer.eos_id());
  if (sample.ids.size() < 2) throw BadRow{"the text is a single token: there is nothing to predict"};
  sample.weights.assign(sample.ids.size(), weight);
  return sample;
}

// An answer without an assistant token before it is served by no prompt.
void check_answers_are_asked_for(const std::vector<ChatMessage>& messages, const std::vector<std::string>& origins) {
  for (size_t i = 0; i < messages.size(); ++i)
    if (messages[i].role == Role::kAssistant && messages[i].weight > 0 && !messages[i].wo_eos && (i == 0 || !opens_answer(messages, i - 1)))
      throw BadRow{fmt::format("{}: nobody asked before it: after a message of role {} the format has no assistant token", origins[i],
                               i == 0 ? "none" : role_name(messages[i - 1].role))};
}

// One sample for a dialogue, or one for each turn where the format drops earlier reasoning.
std::vector<EncodedSample> encode_messages(const TrainingRow& row, const Tokenizer& tokenizer, const ChatOptions& options) {
  try {
    std::vector<EncodedSample> samples;
    const Conversation conversation = Conversation::from_json(row.messages, "messages");
    check_answers_are_asked_for(conversation.messages, row.origins);
    for (const Conversation& turn : expand_turns(conversation, options))
      samples.push_back(encode_for_training(tokenizer, turn, options));
    return samples;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) throw;
    throw BadRow{error.parts().what};
  }
}

}  // namespace

SampleEncoder stage_encoder(const std::string& stage, const Tokenizer& tokenizer, const DataConfig& config) {
  ChatOptions options;
  options.thinking_mode = config.thinking_mode;
  options.release = config.chat_release;
  options.effort = config.effort;
  return [stage, tokenizer, options](const TrainingRow& row) -> std::vector<EncodedSample> {
    if (row.is_text) return {encode_text(row.text, row.text_weight, tokenizer)};
    if (stage == "cpt") throw BadRow{"stage cpt trains on text, and this row is a conversation (set stage = \"sft\")"};
    return encode_messages(row, tokenizer, options);
  };
}

LoadedData load_training_data(const LoadedRecipe& loaded, const Tokenizer& tokenizer) {
  WhileDoing work("reading the training data");
  check_matches(tokenizer, loaded.model_config.vocab_size, loaded.tokenizer_path().string());
  LoadedData data = load_samples(loaded.recipe.data, loaded.folder, stage_encoder(loaded.recipe.stage, tokenizer, loaded.recipe.data), available_threads());
  if (const auto warning = warn_beyond_positions("the longest sample", std::max(data.train->longest(), data.held_out->longest()), loaded.model_config.max_positions))
    data.report.position_warning = *warning;
  return data;
}

std::string describe(const LoadedData& data) {
  const std::string warning = data.report.position_warning.empty() ? "" : "  " + data.report.position_warning + "\n";
  return data.report.to_text() + warning + fmt::format("  {} tokens in {} samples, {} of them trained; the longest sample has {}\n", data.train->n_tokens(), data.train->size(),
                                             data.train->n_trained_tokens(), data.train->longest());
}

}  // namespace temper
