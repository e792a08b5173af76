// Any bytes as a folder with tokenizer.json and tokenizer_config.json (a zero byte parts them): refused with Error, or usable, special
// tokens included.
// fuzz sources: src/data/added_tokens.cpp src/data/bpe.cpp src/data/byte_level.cpp src/data/pre_tokenizer.cpp src/data/regex.cpp src/data/split_patterns.cpp src/data/tokenizer.cpp src/data/tokenizer_file.cpp src/data/tokenizer_json.cpp src/data/unicode.cpp

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string_view>

#include "base/error.h"
#include "data/tokenizer.h"

namespace {

void write(const temper::fs::path& path, std::string_view text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace temper;
  static const fs::path folder = [] {
    const fs::path made = "/dev/shm/temper_tokenizer_pair_fuzz." + std::to_string(::getpid());
    fs::create_directories(made);
    return made;
  }();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t border = std::min(bytes.find('\0'), bytes.size());
  write(folder / "tokenizer.json", bytes.substr(0, border));
  write(folder / "tokenizer_config.json", border < bytes.size() ? bytes.substr(border + 1) : "{}");
  try {
    const Tokenizer tokenizer = Tokenizer::load(folder);
    std::vector<int32_t> ids = tokenizer.encode("Hello <think> world");
    if (tokenizer.has_bos()) ids.push_back(tokenizer.bos_id());
    if (tokenizer.has_eos()) ids.push_back(tokenizer.eos_id());
    for (const int32_t id : ids) tokenizer.bytes_of(id), tokenizer.is_special(id);
    tokenizer.decode(ids);
  } catch (const Error&) {
  }
  return 0;
}
