// Any bytes as lines of chat rows, as training and generation read them: converted, rendered and encoded, or refused with BadRow or Error.
// An encoded conversation decodes to its rendered text.
// fuzz sources: src/data/added_tokens.cpp src/data/bpe.cpp src/data/bpe_trainer.cpp src/data/byte_level.cpp src/data/chat_encoding.cpp src/data/chat_parser.cpp src/data/chat_parts.cpp src/data/conversation.cpp src/data/message_check.cpp src/data/pre_tokenizer.cpp src/data/python_json.cpp src/data/regex.cpp src/data/row_format.cpp src/data/sample_store.cpp src/data/split_patterns.cpp src/data/tokenizer.cpp src/data/tokenizer_file.cpp src/data/tokenizer_json.cpp src/data/unicode.cpp

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "data/bpe_trainer.h"
#include "data/chat_encoding.h"
#include "data/row_format.h"
#include "data/tokenizer_file.h"

namespace {

using namespace temper;

const Tokenizer& byte_tokenizer() {
  static const Tokenizer tokenizer = [] {
    BpeTrainer trainer;
    trainer.add("once upon a time there was a little cat who liked to play");
    return Tokenizer::from_file(parse_tokenizer_json(trainer.train(288).tokenizer_json(), "trained"));
  }();
  return tokenizer;
}

void encode(const Conversation& conversation, const ChatOptions& options) {
  for (const Conversation& turn : expand_turns(conversation, options)) {
    const EncodedSample sample = encode_for_training(byte_tokenizer(), turn, options);
    if (sample.ids.size() != sample.weights.size()) std::abort();
    if (byte_tokenizer().decode(sample.ids) != render_chat(turn, options)) std::abort();
  }
}

void train_on(std::string_view line, const ChatOptions& options) {
  try {
    const Json row = parse_row(line);
    const TrainingRow converted = convert_row(row, detect_row_format(row), {});
    if (!converted.is_text) encode(Conversation::from_json(converted.messages, "messages"), options);
  } catch (const BadRow&) {
  } catch (const Error&) {
  }
}

void answer(std::string_view line, const ChatOptions& options) {
  try {
    encode_prompt(byte_tokenizer(), Conversation::from_json(parse_json(line, "line"), "line"), options);
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const char* mode : {"chat", "thinking"}) {
    ChatOptions options;
    options.thinking_mode = mode;
    for (size_t begin = 0; begin < bytes.size();) {
      const size_t end = std::min(bytes.find('\n', begin), bytes.size());
      train_on(bytes.substr(begin, end - begin), options);
      answer(bytes.substr(begin, end - begin), options);
      begin = end + 1;
    }
  }
  return 0;
}
