#include "data/text_reader.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/packed.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

using test::TempFolder;
using test::gzip;
using test::zstd;

std::vector<std::string> lines_of(const fs::path& path, int64_t limit = 1 << 20) {
  LineReader reader(path, limit);
  std::vector<std::string> lines;
  for (TextPiece piece; reader.next(piece);) lines.push_back(piece.defect.empty() ? piece.text : "BAD " + piece.defect);
  return lines;
}

std::string many_lines() {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += "line number " + std::to_string(i * 7919 % 1000003) + "\n";
  return text;
}

TEST(LineReader, ReadsLfCrLfAndALastLineWithoutEnd) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl", "\xef\xbb\xbfone\r\n\ntwo\nthree");
  EXPECT_EQ(lines_of(folder / "a.jsonl"), (std::vector<std::string>{"one", "", "two", "three"}));
}

TEST(LineReader, CountsLinesFromOneAndSkipsBlankOnesWhenAsked) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl", "\n \r\nx\n\ny\n");
  LineReader reader(folder / "a.jsonl", 100);
  TextPiece piece;
  ASSERT_TRUE(reader.next_filled(piece));
  EXPECT_EQ(piece.text + std::to_string(piece.line), "x3");
  ASSERT_TRUE(reader.next_filled(piece));
  EXPECT_EQ(piece.text + std::to_string(piece.line), "y5");
  EXPECT_FALSE(reader.next_filled(piece));
}

TEST(LineReader, GivesTheSameLinesFromGzipAndZstdAlsoInSeveralMembers) {
  TempFolder folder;
  const std::string text = many_lines(), first = text.substr(0, 500001), second = text.substr(500001);
  write_file_atomic(folder / "a.jsonl", text);
  write_file_atomic(folder / "a.jsonl.gz", gzip(first) + gzip(second));
  write_file_atomic(folder / "a.jsonl.zst", zstd(first) + zstd(second));
  const auto plain = lines_of(folder / "a.jsonl");
  EXPECT_EQ(plain.size(), 60000u);
  EXPECT_EQ(lines_of(folder / "a.jsonl.gz"), plain);
  EXPECT_EQ(lines_of(folder / "a.jsonl.zst"), plain);
}

TEST(LineReader, SaysThatAnArchiveIsCutOffOrDamaged) {
  TempFolder folder;
  for (const auto& [name, packed] : {std::pair{"a.gz", gzip(many_lines())}, std::pair{"a.zst", zstd(many_lines())}}) {
    for (const size_t kept : {packed.size() - 1, packed.size() / 2, size_t{20}}) {
      write_file_atomic(folder / name, packed.substr(0, kept));
      EXPECT_ERROR(lines_of(folder / name), ErrorKind::kData, "cut off");
    }
    std::string damaged = packed;
    for (size_t i = damaged.size() / 3; i < damaged.size() / 3 + 40; ++i) damaged[i] = static_cast<char>(~damaged[i]);
    write_file_atomic(folder / name, damaged);
    EXPECT_ERROR(lines_of(folder / name), ErrorKind::kData, name);
  }
}

TEST(LineReader, RefusesOtherContainersWithAHint) {
  TempFolder folder;
  write_file_atomic(folder / "a.parquet", "PAR1....");
  EXPECT_ERROR(lines_of(folder / "a.parquet"), ErrorKind::kData, "convert it to JSONL");
  write_file_atomic(folder / "a.gz", "plain text");
  EXPECT_ERROR(lines_of(folder / "a.gz"), ErrorKind::kData, "not gzip");
  EXPECT_ERROR(lines_of(folder / "none"), ErrorKind::kData, "No such file");
  EXPECT_ERROR(lines_of(folder.path()), ErrorKind::kData, "folder");
}

TEST(LineReader, ReportsALineOf100MegabytesAndGoesOnBehindIt) {
  TempFolder folder;
  {
    FileWriter writer(folder / "a.jsonl");
    writer.write("first\n");
    const std::string megabyte(1 << 20, 'x');
    for (int i = 0; i < 100; ++i) writer.write(megabyte);
    writer.write("\nlast\n");
    writer.finish();
  }
  const auto lines = lines_of(folder / "a.jsonl", 64 << 20);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_NE(lines[1].find("the line has 104857600 bytes, the limit max_line_bytes is 67108864"), std::string::npos) << lines[1];
  EXPECT_EQ(lines[2], "last");
}

TEST(LineReader, AcceptsALineOfExactlyTheLimit) {
  TempFolder folder;
  write_file_atomic(folder / "a.txt", "1234\n12345\n");
  EXPECT_EQ(lines_of(folder / "a.txt", 4)[0], "1234");
  EXPECT_TRUE(lines_of(folder / "a.txt", 4)[1].starts_with("BAD"));
}

// Unicode 15, table 3-7 and section 3.9: examples of well-formed and ill-formed sequences.
TEST(Utf8, FindsTheFirstByteThatIsNotWellFormed) {
  constexpr size_t kGood = std::string_view::npos;
  EXPECT_EQ(first_invalid_utf8("plain, long enough for the fast path"), kGood);
  EXPECT_EQ(first_invalid_utf8("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"), kGood);
  for (const char* bad : {"\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                          "\x80", "\xe2\x82", "\xff"})
    EXPECT_EQ(first_invalid_utf8(std::string("123456789") + bad + "z"), 9u) << bad;
}

TEST(LineReader, ReportsInvalidUtf8WithItsByte) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl", "good\nab\xff" "c\ngood\n");
  const auto lines = lines_of(folder / "a.jsonl");
  EXPECT_EQ(lines[1], "BAD byte 3 (0xff) is not UTF-8");
  EXPECT_EQ(lines[2], "good");
}

TEST(DocumentReader, PartsAtTheSeparatorAndKeepsParagraphs) {
  TempFolder folder;
  write_file_atomic(folder / "a.txt", "\n---\none\n\ntwo\r\n\n---\n---\nthree");
  DocumentReader reader(folder / "a.txt", "---", 1000);
  TextPiece piece;
  ASSERT_TRUE(reader.next(piece));
  EXPECT_EQ(piece.text, "one\n\ntwo");
  EXPECT_EQ(piece.line, 3);
  ASSERT_TRUE(reader.next(piece));
  EXPECT_EQ(piece.text, "three");
  EXPECT_EQ(piece.line, 9);
  EXPECT_FALSE(reader.next(piece));
}

TEST(DocumentReader, PartsAtBlankLinesByDefault) {
  TempFolder folder;
  write_file_atomic(folder / "a.txt.zst", zstd("a\nb\n\n\nc\n"));
  DocumentReader reader(folder / "a.txt.zst", "", 1000);
  TextPiece piece;
  ASSERT_TRUE(reader.next(piece));
  EXPECT_EQ(piece.text, "a\nb");
  ASSERT_TRUE(reader.next(piece));
  EXPECT_EQ(piece.text, "c");
  EXPECT_FALSE(reader.next(piece));
}

}  // namespace
}  // namespace temper
