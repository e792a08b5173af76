#include "base/files.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

TEST(Files, AnUnfinishedWriterLeavesTheOldFileAndNothingElse) {
  const test::TempFolder folder;
  write_file_atomic(folder / "a", "old");
  {
    FileWriter writer(folder / "a");
    writer.write("new");
  }
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(Files, MissingFilesAreDataErrors) { EXPECT_ERROR(read_file("/nowhere/x"), ErrorKind::kData, "/nowhere/x"); }

TEST(Files, AFileWhereAFolderIsNeededIsAResourceError) {
  const test::TempFolder folder;
  write_file_atomic(folder / "a", "file");
  EXPECT_ERROR(make_writable_folder(folder / "a" / "b"), ErrorKind::kResource, "making the folder");
}

TEST(MappedFile, ShowsTheBytesAndAcceptsEmptyFiles) {
  const test::TempFolder folder;
  write_file_atomic(folder / "a", "xyz");
  write_file_atomic(folder / "empty", "");
  EXPECT_EQ(MappedFile(folder / "a").bytes().size(), 3u);
  EXPECT_EQ(MappedFile(folder / "empty").bytes().size(), 0u);
}

}  // namespace
}  // namespace temper
