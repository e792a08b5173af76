#include "data/source_files.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"

namespace temper {
namespace {

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

bool is_data(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  constexpr std::array<std::string_view, 14> kEndings{".jsonl", ".ndjson", ".json", ".txt", ".parquet", ".arrow", ".feather", ".csv", ".tsv", ".xlsx", ".xls", ".tar", ".zip", ".sqlite"};
  return std::find(kEndings.begin(), kEndings.end(), name.extension().string()) != kEndings.end();
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) entries.push_back(it->path());
  if (error)
    throw Error({.kind = ErrorKind::kData, .what = "the folder cannot be read: " + error.message(), .where = folder.string(), .fix = "check the path and its permissions"});
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// Subfolders that are links are not followed: they may lead back.
void add_folder(const fs::path& folder, SourceFiles& into) {
  for (const fs::path& path : sorted_entries(folder)) {
    if (is_hidden(path)) continue;
    if (fs::is_directory(path)) {
      if (!fs::is_symlink(path)) add_folder(path, into);
    } else {
      (is_data(path) ? into.files : into.ignored).push_back(path);
    }
  }
}

void add_matches(const fs::path& folder, const std::vector<std::string>& parts, size_t i, SourceFiles& into) {
  if (i == parts.size()) {
    if (fs::is_directory(folder)) add_folder(folder, into);
    else if (fs::exists(folder)) into.files.push_back(folder);
    return;
  }
  if (parts[i].find_first_of("*?[") == std::string::npos) {
    if (fs::exists(folder / parts[i])) add_matches(folder / parts[i], parts, i + 1, into);
    return;
  }
  if (!fs::is_directory(folder.empty() ? "." : folder)) return;
  if (parts[i] == "**") add_matches(folder, parts, i + 1, into);
  for (const fs::path& path : sorted_entries(folder.empty() ? "." : folder)) {
    if (is_hidden(path) && !parts[i].starts_with('.')) continue;
    const fs::path entry = folder.empty() ? path.filename() : path;
    if (parts[i] == "**") {
      if (fs::is_directory(entry) && !fs::is_symlink(entry)) add_matches(entry, parts, i, into);
    } else if (::fnmatch(parts[i].c_str(), entry.filename().c_str(), FNM_PERIOD) == 0) {
      add_matches(entry, parts, i + 1, into);
    }
  }
}

void sort_once(std::vector<fs::path>& paths) {
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
}

}  // namespace

SourceFiles source_files(const fs::path& path) {
  SourceFiles out;
  const auto refuse = [&](std::string what, std::string fix) { throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = path.string(), .fix = std::move(fix)}); };
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) {
    add_folder(path, out);
    if (out.files.empty())
      refuse(fmt::format("the folder holds no data file (it holds {} others)", out.ignored.size()), "name a folder with .jsonl, .json or .txt files, these also as .gz or .zst");
  } else if (status.type() != fs::file_type::not_found) {   // also what may not be looked at: opening it says why
    out.files.push_back(path);
  } else if (path.string().find_first_of("*?[") != std::string::npos) {
    std::vector<std::string> parts;
    for (const fs::path& part : path.relative_path()) parts.push_back(part.string());
    add_matches(path.root_path(), parts, 0, out);
    if (out.files.empty()) refuse("no file matches the pattern", "check it with ls; ** stands for any number of folders");
  } else {
    refuse("there is no such file or folder", "check the path; relative paths of a recipe start at its folder");
  }
  sort_once(out.files);
  sort_once(out.ignored);
  return out;
}

}  // namespace temper
