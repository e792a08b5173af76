// Any bytes as a recipe: it is read, or refused with Error{kConfig}; what was read is written and read again unchanged.
// fuzz sources: src/base/error.cpp src/base/files.cpp src/base/json.cpp src/base/config.cpp src/base/log.cpp

#include <cstdint>
#include <cstdlib>
#include <string>

#include "data/data_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace temper;
  DataConfig config;
  try {
    toml::table table = parse_toml(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
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
