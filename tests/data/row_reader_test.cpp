#include "data/row_reader.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/process.h"
#include "support/expect_error.h"
#include "support/packed.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

using test::TempFolder;

struct Row {
  std::string text;
  int64_t line = 0, row = 0;
  std::string defect;
  bool operator==(const Row&) const = default;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.line << "/" << row.row << " " << row.text << " " << row.defect; }

std::vector<Row> rows_of(const std::string& content, int64_t limit = 1 << 20, const char* name = "a.json") {
  TempFolder folder;
  write_file_atomic(folder / name, content);
  RowReader reader(folder / name, limit);
  std::vector<Row> rows;
  for (TextPiece piece; reader.next(piece);) rows.push_back({piece.text, piece.line, piece.row, piece.defect});
  return rows;
}

TEST(RowReader, ReadsLinesWhereTheFileBeginsWithAnObject) {
  EXPECT_EQ(rows_of("{\"a\":1}\n\n{\"b\":[2]}"), (std::vector<Row>{{"{\"a\":1}", 1, 0, ""}, {"{\"b\":[2]}", 3, 0, ""}}));
  EXPECT_EQ(rows_of("\xef\xbb\xbf \n\n {\"a\":1}\r\n{}"), (std::vector<Row>{{"{\"a\":1}", 3, 0, ""}, {"{}", 4, 0, ""}}));
  EXPECT_TRUE(rows_of("").empty());
  EXPECT_TRUE(rows_of("\n \n").empty());
}

TEST(RowReader, ReadsTheElementsOfAListHoweverItIsPrinted) {
  const std::vector<Row> expected = {{"{\"a\":1}", 1, 1, ""}, {"{\"b\":\"],[\\\"\\\\\"}", 1, 2, ""}};
  EXPECT_EQ(rows_of("[{\"a\":1},{\"b\":\"],[\\\"\\\\\"}]"), expected);
  EXPECT_EQ(rows_of("[ {\"a\":1} , {\"b\":\"],[\\\"\\\\\"} ] \n"), expected);
  EXPECT_EQ(rows_of("\xef\xbb\xbf\n\t [\n  {\n    \"a\": [1, {\"x\": 2}]\n  },\n\n  {\"b\": 2}\n]\n"), (std::vector<Row>{{"{\n    \"a\": [1, {\"x\": 2}]\n  }", 3, 1, ""}, {"{\"b\": 2}", 7, 2, ""}}));
  EXPECT_TRUE(rows_of("[]").empty());
  EXPECT_TRUE(rows_of(" [ \n ] ").empty());
  EXPECT_EQ(rows_of("[[1],2,\"x\"]"), (std::vector<Row>{{"[1]", 1, 1, ""}, {"2", 1, 2, ""}, {"\"x\"", 1, 3, ""}}));   // what a row is, the caller checks
}

/// The same rows from lists of many chunks, with white space of every length between them.
TEST(RowReader, ReadsListsAcrossTheBordersOfChunks) {
  std::string list = std::string(300000, '\n') + "[";
  std::vector<std::string> texts;
  for (int i = 0; i < 4000; ++i) {
    texts.push_back(Json({{"i", i}, {"text", std::string(static_cast<size_t>(i % 977), i % 3 ? '\\' : ']')}}).dump());
    list += (i ? "," : "") + std::string(static_cast<size_t>(i % 7), '\n') + texts.back() + std::string(static_cast<size_t>(i % 5), ' ');
  }
  const std::vector<Row> rows = rows_of(list + "]");
  ASSERT_EQ(rows.size(), texts.size());
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].text, texts[i]);
  EXPECT_EQ(rows[1].line, 300002);
}

TEST(RowReader, ReadsPackedLists) {
  TempFolder folder;
  for (const auto& [name, packed] : {std::pair{"a.json.gz", test::gzip("[{\"a\":1}]")}, std::pair{"a.json.zst", test::zstd("[{\"a\":1}]")}}) {
    write_file_atomic(folder / name, packed);
    RowReader reader(folder / name, 100);
    TextPiece piece;
    ASSERT_TRUE(reader.next(piece));
    EXPECT_EQ(piece.text, "{\"a\":1}");
    EXPECT_FALSE(reader.next(piece));
  }
}

TEST(RowReader, GoesOnBehindARowThatIsTooLongOrNotUtf8) {
  const std::vector<Row> rows = rows_of("[{\"a\":\"" + std::string(1000, 'x') + "\"}, {\"b\":\"\xff\"}, {\"c\":3}]", 100);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].defect, "the row has 1008 bytes, the limit max_line_bytes is 100");
  EXPECT_EQ(rows[1].defect, "byte 7 (0xff) is not UTF-8");
  EXPECT_EQ(rows[2], (Row{"{\"c\":3}", 1, 3, ""}));
}

TEST(RowReader, RefusesABrokenListWhateverThePolicy) {
  const std::pair<const char*, const char*> cases[] = {
      {"[{\"a\":1}", "does not end"},
      {"[{\"a\":1},", "does not end"},
      {"[", "does not end"},
      {"[{\"a\":\"1}]", "row 1 of the list, which began in line 1, does not end"},
      {"[{\"a\":1}]\n[{\"a\":2}]", "the file holds several lists, or rows that are lists"},
      {"[{\"a\":1}]\n{\"a\":2}", "more follows"},
      {"[{\"a\":1},]", "a comma stands before the end"},
      {"[,{\"a\":1}]", "no row before it"},
      {"[{\"a\":1},,{\"a\":2}]", "no row before it"},
      {"[{\"a\":1}}]", "closes nothing"},
  };
  for (const auto& [content, part] : cases) EXPECT_ERROR(rows_of(content), ErrorKind::kData, part);
}

// 60 MB in one line: the memory of the process does not grow with it.
TEST(RowReader, HoldsOneRowOfALongList) {
  TempFolder folder;
  const std::string row = "{\"text\":\"" + std::string(1000, 'x') + "\"}";
  {
    FileWriter writer(folder / "a.json");
    std::string part;
    for (int i = 0; i < 1000; ++i) part += (i ? "," : "") + row;
    for (int i = 0; i < 60; ++i) writer.write((i ? "," : "[") + part);
    writer.write("]");
    writer.finish();
  }
  const int64_t before = peak_resident_bytes();
  RowReader reader(folder / "a.json", 1 << 20);
  int64_t n = 0;
  for (TextPiece piece; reader.next(piece);) ++n;
  EXPECT_EQ(n, 60000);
  EXPECT_LT(peak_resident_bytes() - before, int64_t{20} << 20);
}

TEST(RowReader, NamesOtherFilesForWhatTheyAreWithTheCommandThatConvertsThem) {
  const std::tuple<const char*, std::string, const char*, const char*> cases[] = {
      {"a.parquet", "PAR1....", "a Parquet file", "pyarrow"},
      {"no_name", "PAR1....", "a Parquet file", "pyarrow"},
      {"a.parquet", "", "a Parquet file", "pyarrow"},
      {"a.feather", "ARROW1..", "Feather", "pyarrow"},
      {"a.arrow", "\xff\xff\xff\xff\x10", "an Arrow stream", "open_stream"},
      {"a.csv", "a,b\n1,2\n", "a CSV file", "csv.DictReader"},
      {"a.tsv", "a\tb\n", "a TSV file", "delimiter="},
      {"a.xlsx", "PK\x03\x04....", "an Excel file", "pandas"},
      {"a.zip", "PK\x03\x04....", "a zip file", "unzip"},
      {"a.tar", std::string(257, 'x') + "ustar", "a tar archive", "tar -xf"},
      {"a.db", "SQLite format 3.", "an SQLite database", "sqlite3 -json"},
      {"a.jsonl", "version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "git lfs pull"},
      {"a.jsonl", "<!DOCTYPE html>", "a web page", "download"},
      {"a.tar.gz", test::gzip(std::string(257, 'x') + "ustar"), "a tar archive", "tar -xf"},
      {"a.csv.gz", test::gzip("a,b\n"), "a CSV file", "csv.DictReader"},
  };
  for (const auto& [name, content, what, fix] : cases) {
    EXPECT_ERROR(rows_of(content, 100, name), ErrorKind::kData, what);
    try {
      rows_of(content, 100, name);
    } catch (const Error& error) {
      EXPECT_NE(error.parts().fix.find(fix), std::string::npos) << error.parts().fix;
    }
  }
}

}  // namespace
}  // namespace temper
