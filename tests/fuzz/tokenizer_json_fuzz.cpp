// Any bytes as a tokenizer.json: it is refused with Error, or it encodes and decodes every text without loss.
// fuzz sources: src/data/added_tokens.cpp src/data/bpe.cpp src/data/byte_level.cpp src/data/pre_tokenizer.cpp src/data/regex.cpp src/data/split_patterns.cpp src/data/tokenizer.cpp src/data/tokenizer_file.cpp src/data/tokenizer_json.cpp src/data/unicode.cpp

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "data/tokenizer.h"
#include "data/tokenizer_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace temper;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    TokenizerFile file = parse_tokenizer_json(bytes, "input");
    const bool keeps_all = file.pre_tokenizer.dump().find("Removed") == std::string::npos;
    const Tokenizer tokenizer = Tokenizer::from_file(std::move(file));
    for (const std::string_view text : {bytes.substr(0, 256), std::string_view(" Hello  wörld\n12345 中文'll <think>")}) {
      try {
        if (tokenizer.decode(tokenizer.encode_ordinary(text)) != text && keeps_all) std::abort();
        if (tokenizer.decode(tokenizer.encode(text)) != text && keeps_all) std::abort();
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
