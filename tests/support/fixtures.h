#pragma once

#include <zstd.h>

#include <string>
#include <vector>

#include "base/files.h"
#include "support/json_lines.h"
#include "support/temp_folder.h"
#include "test_places.h"

namespace temper::test {

/// The content of tests/data/fixtures/`name`; a .zst file comes unpacked.
inline std::string read_fixture(const std::string& name) {
  const std::string raw = read_file(fs::path(TEMPER_SOURCE_DIR) / "tests/data/fixtures" / name);
  if (!name.ends_with(".zst")) return raw;
  std::string content(ZSTD_getFrameContentSize(raw.data(), raw.size()), '\0');
  if (ZSTD_isError(ZSTD_decompress(content.data(), content.size(), raw.data(), raw.size()))) throw std::runtime_error("damaged fixture " + name);
  return content;
}

/// One JSON value for each line.
inline std::vector<Json> read_fixture_lines(const std::string& name) { return json_lines(read_fixture(name), name); }

/// Unpacks the files of one tokenizer of tests/data/fixtures/tokenizers into `folder`.
inline void unpack_tokenizer(const std::string& name, const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(fs::path(TEMPER_SOURCE_DIR) / "tests/data/fixtures/tokenizers" / name)) {
    const std::string file = entry.path().filename().string();
    if (file.find("vectors") != std::string::npos) continue;
    const std::string content = read_fixture("tokenizers/" + name + "/" + file);
    write_file_atomic(folder / (file.ends_with(".zst") ? file.substr(0, file.size() - 4) : file), content);
  }
}

}  // namespace temper::test
