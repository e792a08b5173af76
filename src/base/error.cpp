#include "base/error.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "base/console.h"

namespace temper {
namespace {

std::vector<std::string>& open_scopes() {
  thread_local std::vector<std::string> scopes;
  return scopes;
}

std::string& program_place() {
  static std::string place = "temper";
  return place;
}

std::string shown(const std::string& text) { return printable(shortened(text)); }

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
  if (parts_.where.empty()) parts_.where = program_place();
  const char* file = at.file_name();
  if (const char* in_src = std::strstr(file, "/src/")) file = in_src + 5;
  text_ = fmt::format("{} error: {}\n  where: {}\n  fix:   {}\n  code:  {}:{}", error_kind_name(parts_.kind), shown(parts_.what), shown(parts_.where),
                      shown(parts_.fix), file, at.line());
}

void set_program_place(std::string place) { program_place() = std::move(place); }

WhileDoing::WhileDoing(std::string what) { open_scopes().push_back(std::move(what)); }
WhileDoing::~WhileDoing() { open_scopes().pop_back(); }

}  // namespace temper
