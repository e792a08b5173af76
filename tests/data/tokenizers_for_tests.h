#pragma once

#include <map>
#include <string>

#include "data/tokenizer.h"
#include "support/fixtures.h"

namespace temper::test {

/// The tokenizer of tests/data/fixtures/tokenizers/`name`, loaded once for all tests of this binary.
inline const Tokenizer& shared_tokenizer(const std::string& name) {
  static std::map<std::string, Tokenizer> loaded;
  auto found = loaded.find(name);
  if (found == loaded.end()) {
    const TempFolder folder;
    unpack_tokenizer(name, folder.path());
    found = loaded.emplace(name, Tokenizer::load(folder.path())).first;
  }
  return found->second;
}

}  // namespace temper::test
