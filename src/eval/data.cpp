#include "eval/data.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace temper {

struct EmbeddedFile {
  const char *name, *begin, *end;
};
extern const EmbeddedFile kEmbeddedFiles[];   // made by src/eval/layer.cmake; the last row is empty

std::string_view embedded_file(std::string_view name) {
  for (const EmbeddedFile* file = kEmbeddedFiles; file->name; ++file)
    if (name == file->name) return {file->begin, static_cast<size_t>(file->end - file->begin)};
  throw Error({.kind = ErrorKind::kInternal,
               .what = fmt::format("the program carries no file {}", name),
               .where = "src/eval/data",
               .fix = "build again from a complete clone"});
}

std::vector<std::string> embedded_names(std::string_view prefix) {
  std::vector<std::string> names;
  for (const EmbeddedFile* file = kEmbeddedFiles; file->name; ++file)
    if (std::string_view(file->name).starts_with(prefix)) names.emplace_back(file->name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace temper
