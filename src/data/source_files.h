#pragma once
// The files that a path of the [data] section stands for.

#include <string>
#include <vector>

#include "base/files.h"

namespace temper {

struct SourceFiles {
  std::vector<fs::path> files;     // sorted by name, each once
  std::vector<fs::path> ignored;   // of folders: files that are no data by their name (README.md, ...)
};

/// A file stands for itself.  A folder stands for all data files in it and its subfolders: names that end in .jsonl, .ndjson, .json or .txt, these also
/// with .gz or .zst, and tables and archives that are refused when they are opened (.parquet, .arrow, .csv, ...), so that they are not missed.
/// Hidden files and folders do not count.  Else the path is a pattern: * and ? stand for anything within a name, [a-z] for a letter, ** for any
/// number of folders; a folder that matches stands for its files.
/// Errors  Error{kData} if there is no such file or folder, or nothing matches.
SourceFiles source_files(const fs::path& path);

}  // namespace temper
