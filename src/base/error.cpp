#include "base/error.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

namespace temper {
namespace {

std::vector<std::string>& open_scopes() {
  thread_local std::vector<std::string> scopes;
  return scopes;
}

std::string with_open_scopes(std::string where) {
  std::string doing;
  for (const std::string& scope : open_scopes()) doing += (doing.empty() ? "" : " > ") + scope;
  if (doing.empty()) return where;
  return where.empty() ? "while " + doing : where + ", while " + doing;
}

}  // namespace

const char* error_kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kConfig: return "config";
    case ErrorKind::kData: return "data";
    case ErrorKind::kCheckpoint: return "checkpoint";
    case ErrorKind::kComm: return "comm";
    case ErrorKind::kResource: return "resource";
    case ErrorKind::kNumerics: return "numerics";
    case ErrorKind::kInternal: return "internal";
  }
  return "unknown";
}

Error::Error(Parts parts, std::source_location at) : parts_(std::move(parts)) {
  parts_.where = with_open_scopes(parts_.where);
  const char* file = at.file_name();
  if (const char* in_src = std::strstr(file, "/src/")) file = in_src + 5;
  text_ = fmt::format("{} error: {}\n  where: {}\n  fix:   {}\n  code:  {}:{}", error_kind_name(parts_.kind), parts_.what,
                      parts_.where.empty() ? "(no place)" : parts_.where, parts_.fix, file, at.line());
}

WhileDoing::WhileDoing(std::string what) { open_scopes().push_back(std::move(what)); }
WhileDoing::~WhileDoing() { open_scopes().pop_back(); }

}  // namespace temper
