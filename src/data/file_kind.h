#pragma once
// Files that hold data, but neither JSON nor text: named for what they are, with the command that converts them.

#include <string_view>

#include "base/files.h"

namespace temper {

/// Bytes of a file's head that show what it is.
constexpr size_t kHeadBytes = 512;

/// Error{kData} if the first bytes of a file, or a name that says it, are those of a container that is not read: Parquet, Arrow, Feather, Excel, zip,
/// tar, SQLite, HDF5, NumPy, other compressors, UTF-16, a Git LFS pointer, a web page.  The fix is a command.
void refuse_foreign_file(const fs::path& path, std::string_view head);

/// The same for tables of text (CSV, TSV, by name), which have no columns of conversations.
void refuse_table(const fs::path& path);

}  // namespace temper
