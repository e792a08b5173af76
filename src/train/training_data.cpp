#include "train/training_data.h"

#include "base/threads.h"
#include "data/chat_encoding.h"

namespace temper {
namespace {

EncodedSample encode_text(const std::string& text, const Tokenizer& tokenizer) {
  EncodedSample sample;
  if (tokenizer.has_bos()) sample.ids.push_back(tokenizer.bos_id());
  tokenizer.append_ordinary(text, sample.ids);
  if (tokenizer.has_eos()) sample.ids.push_back(tokenizer.eos_id());
  if (sample.ids.size() < 2) throw BadRow{"the text is a single token: there is nothing to predict"};
  sample.weights.assign(sample.ids.size(), 1.0f);
  return sample;
}

// One sample for a dialogue, or one for each turn where the format drops earlier reasoning.
std::vector<EncodedSample> encode_messages(const Json& messages, const Tokenizer& tokenizer, const ChatOptions& options) {
  try {
    std::vector<EncodedSample> samples;
    for (const Conversation& turn : expand_turns(Conversation::from_json(messages, "messages"), options))
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
  return [stage, tokenizer, options](const TrainingRow& row) -> std::vector<EncodedSample> {
    if (row.is_text) return {encode_text(row.text, tokenizer)};
    if (stage == "cpt") throw BadRow{"stage cpt trains on text, and this row is a conversation (set stage = \"sft\")"};
    return encode_messages(row.messages, tokenizer, options);
  };
}

LoadedData load_training_data(const LoadedRecipe& loaded, const Tokenizer& tokenizer) {
  WhileDoing work("reading the training data");
  check_matches(tokenizer, loaded.model_config.vocab_size, loaded.tokenizer_path().string());
  return load_samples(loaded.recipe.data, loaded.folder, stage_encoder(loaded.recipe.stage, tokenizer, loaded.recipe.data), available_threads());
}

}  // namespace temper
