// Any bytes as a recipe: it is read, or refused with Error{kConfig}; what was read is written and read again unchanged.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/toml_text.h"
#include "data/data_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace temper;
  DataConfig config;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    for (const char c : detail::ascii_toml(bytes, "fuzz"))
      if (static_cast<unsigned char>(c) >= 0x80) std::abort();
    toml::table table = parse_toml(bytes, "fuzz");
    TomlReader::read(table, "", config);
  } catch (const Error&) {
    return 0;
  }
  const std::string text = render_toml(config);
  DataConfig again;
  TomlReader::read(parse_toml(text, "written"), "", again);   // must not throw
  if (render_toml(again) != text) std::abort();
  return 0;
}
