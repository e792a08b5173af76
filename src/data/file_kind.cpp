#include "data/file_kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "base/error.h"

namespace temper {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// The extension without that of gzip or zstd.
std::string extension_of(const fs::path& path) {
  const std::string last = lower(path.extension().string());
  return last == ".gz" || last == ".zst" ? lower(path.stem().extension().string()) : last;
}

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// A Python command that prints the rows of the file.
std::string converting(const fs::path& path, std::string_view imports, std::string_view rows, std::string_view packages) {
  const fs::path out = fs::path(path).replace_extension(".jsonl");
  return fmt::format("convert it to JSONL: python3 -c 'import json,sys,{}; [print(json.dumps(r,ensure_ascii=False,default=str)) for {}]' {} > {}{}", imports, rows, shell_quoted(path.string()),
                     shell_quoted(out.string()), packages.empty() ? "" : fmt::format("   (once: pip install {})", packages));
}

[[noreturn]] void refuse(const fs::path& path, std::string what, std::string fix) {
  throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = path.string(), .fix = std::move(fix)});
}

}  // namespace

void refuse_foreign_file(const fs::path& path, std::string_view head) {
  using namespace std::string_view_literals;
  const std::string extension = extension_of(path);
  const std::string text = lower(std::string(head.substr(0, std::min<size_t>(head.size(), 64))));
  if (head.starts_with("version https://git-lfs"))
    refuse(path, "this is a Git LFS pointer, not the file itself", "fetch the file: git lfs pull");
  const bool may_be_a_page = extension == ".txt" || extension == ".html" || extension == ".htm" || extension == ".md";
  if (!may_be_a_page && (text.starts_with("<!doctype html") || text.starts_with("<html")))
    refuse(path, "this is a web page (HTML), not the file itself", "download the file again, by its direct (raw, resolve) link");
  if (head.starts_with("PAR1") || extension == ".parquet")
    refuse(path, "this is a Parquet file; JSONL, a JSON list or text is needed", converting(path, "pyarrow.parquet as p", "b in p.ParquetFile(sys.argv[1]).iter_batches() for r in b.to_pylist()", "pyarrow"));
  if (head.starts_with("ARROW1") || head.starts_with("FEA1") || extension == ".feather")
    refuse(path, "this is an Arrow (Feather) file; JSONL, a JSON list or text is needed", converting(path, "pyarrow.feather as f", "r in f.read_table(sys.argv[1]).to_pylist()", "pyarrow"));
  if (head.starts_with("\xff\xff\xff\xff") || extension == ".arrow")
    refuse(path, "this is an Arrow stream (as the datasets library caches); JSONL, a JSON list or text is needed",
           converting(path, "pyarrow as a", "b in a.ipc.open_stream(a.OSFile(sys.argv[1])) for r in b.to_pylist()", "pyarrow"));
  if (extension == ".xlsx" || extension == ".xls")
    refuse(path, "this is an Excel file; JSONL, a JSON list or text is needed", converting(path, "pandas as p", "r in p.read_excel(sys.argv[1]).to_dict(\"records\")", "pandas openpyxl"));
  if (head.starts_with("PK\x03\x04")) refuse(path, "this is a zip file", fmt::format("unpack it: unzip {}", shell_quoted(path.string())));
  if (head.size() >= 262 && head.substr(257, 5) == "ustar") refuse(path, "this is a tar archive", fmt::format("unpack it, then name the folder or files: tar -xf {}", shell_quoted(path.string())));
  if (head.starts_with("SQLite format 3"))
    refuse(path, "this is an SQLite database; JSONL, a JSON list or text is needed",
           fmt::format("write the rows of a table as a JSON list: sqlite3 -json {} 'SELECT * FROM the_table' > {}", shell_quoted(path.string()), shell_quoted(fs::path(path).replace_extension(".json").string())));
  struct Magic {
    std::string_view bytes;
    const char *name, *fix;
  };
  for (const Magic& one : {Magic{"\x89HDF", "an HDF5 file", "write its rows as JSONL"}, Magic{"\x93NUMPY", "a NumPy array", "write its rows as JSONL"}, Magic{"BZh", "bzip2 data", "unpack it: bunzip2 FILE"},
                           Magic{"\xfd" "7zXZ", "xz data", "unpack it: unxz FILE"}, Magic{"7z\xbc\xaf", "a 7z archive", "unpack it: 7z x FILE"}, Magic{"Rar!", "a rar archive", "unpack it"},
                           Magic{"%PDF-", "a PDF document", "extract its text: pdftotext FILE"}, Magic{"GGUF", "a GGUF model", "name a file of rows or text"}})
    if (head.starts_with(one.bytes)) refuse(path, fmt::format("this is {}; JSONL, a JSON list or text is needed", one.name), one.fix);
  if (head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff")) refuse(path, "this file is UTF-16", fmt::format("convert it: iconv -f utf-16 -t utf-8 {} > OUT", shell_quoted(path.string())));
}

void refuse_table(const fs::path& path) {
  const std::string extension = extension_of(path);
  if (extension != ".csv" && extension != ".tsv") return;
  refuse(path, fmt::format("this is a {} file; JSONL, a JSON list or text is needed", extension == ".csv" ? "CSV" : "TSV"),
         converting(path, "csv", fmt::format("r in csv.DictReader(open(sys.argv[1],newline=\"\",encoding=\"utf-8-sig\"){})", extension == ".csv" ? "" : ",delimiter=\"\\t\""), ""));
}

}  // namespace temper
