#include "data/source_files.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

using test::TempFolder;

std::string names(const std::vector<fs::path>& files, const fs::path& folder) {
  std::string all;
  for (const fs::path& file : files) all += (all.empty() ? "" : " ") + file.lexically_relative(folder).string();
  return all;
}

struct SourceFilesTest : ::testing::Test {
  TempFolder folder;
  void SetUp() override {
    for (const char* name : {"b.jsonl", "a.json", "sub/c.jsonl.gz", "sub/deep/d.txt.zst", "sub/README.md", ".cache/e.jsonl", "sub/.hidden.jsonl", "part-00", "x[1].jsonl"}) {
      fs::create_directories((folder / name).parent_path());
      write_file_atomic(folder / name, "{}");
    }
  }
};

TEST_F(SourceFilesTest, AFileIsItself) { EXPECT_EQ(names(source_files(folder / "part-00").files, folder.path()), "part-00"); }
TEST_F(SourceFilesTest, AFileWhoseNameLooksLikeAPatternIsItself) { EXPECT_EQ(names(source_files(folder / "x[1].jsonl").files, folder.path()), "x[1].jsonl"); }

TEST_F(SourceFilesTest, AFolderIsItsDataFilesSortedWithThoseOfItsSubfolders) {
  const SourceFiles found = source_files(folder.path());
  EXPECT_EQ(names(found.files, folder.path()), "a.json b.jsonl sub/c.jsonl.gz sub/deep/d.txt.zst x[1].jsonl");
  EXPECT_EQ(names(found.ignored, folder.path()), "part-00 sub/README.md");
}

TEST_F(SourceFilesTest, APatternIsWhatMatchesIt) {
  const auto matches = [&](const char* pattern) { return names(source_files(folder / pattern).files, folder.path()); };
  EXPECT_EQ(matches("*.jsonl"), "b.jsonl x[1].jsonl");
  EXPECT_EQ(matches("part-*"), "part-00");
  EXPECT_EQ(matches("?.js*"), "a.json b.jsonl");
  EXPECT_EQ(matches("[ab].json*"), "a.json b.jsonl");
  EXPECT_EQ(matches("**/*.gz"), "sub/c.jsonl.gz");
  EXPECT_EQ(matches("**/*.json*"), "a.json b.jsonl sub/c.jsonl.gz x[1].jsonl");
  EXPECT_EQ(matches("s*/d*"), "sub/deep/d.txt.zst");   // a folder that matches
  EXPECT_EQ(matches("*/c.jsonl.gz"), "sub/c.jsonl.gz");
}

TEST_F(SourceFilesTest, NothingIsAnErrorThatSaysSo) {
  EXPECT_ERROR(source_files(folder / "*.parquet"), ErrorKind::kData, "no file matches the pattern");
  EXPECT_ERROR(source_files(folder / "none.jsonl"), ErrorKind::kData, "there is no such file or folder");
  fs::create_directories(folder / "empty");
  EXPECT_ERROR(source_files(folder / "empty"), ErrorKind::kData, "the folder holds no data file");
}

TEST_F(SourceFilesTest, LinksThatLeadBackAreNotFollowed) {
  fs::create_directory_symlink(folder.path(), folder / "sub/loop");
  EXPECT_EQ(names(source_files(folder / "sub").files, folder.path()), "sub/c.jsonl.gz sub/deep/d.txt.zst");
  EXPECT_EQ(names(source_files(folder / "**/*.gz").files, folder.path()), "sub/c.jsonl.gz");
}

}  // namespace
}  // namespace temper
