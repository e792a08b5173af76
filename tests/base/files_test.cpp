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
  EXPECT_FALSE(fs::exists(folder / "a.partial"));
}

TEST(Files, AFullDiskIsAResourceErrorWithTheReason) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  const test::TempFolder folder;
  fs::create_symlink("/dev/full", folder / "a.partial");
  FileWriter writer(folder / "a");
  EXPECT_ERROR(writer.write("x"), ErrorKind::kResource, "No space left on device");
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
