#include "base/output.h"
#include "base/whole_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

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

TEST(Files, PipesDevicesAndFoldersAreNoRegularFilesAndNothingWaitsForThem) {
  const test::TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0644), 0);
  EXPECT_ERROR(read_small_file(folder / "pipe", ErrorKind::kConfig), ErrorKind::kConfig, "this is a pipe, a regular file is needed");
  EXPECT_ERROR(MappedFile(folder / "pipe"), ErrorKind::kData, "this is a pipe");
  EXPECT_ERROR(read_small_file("/dev/zero"), ErrorKind::kData, "this is a device");
  EXPECT_ERROR(read_small_file(folder.path()), ErrorKind::kData, "this is a folder");
  EXPECT_ERROR(read_input("/dev/zero"), ErrorKind::kData, "bytes or more, at most 67108864 are read");
  EXPECT_ERROR(read_file("/dev/zero"), ErrorKind::kData, "this is a device");
  EXPECT_EQ(read_input("/dev/null"), "");
  write_file_atomic(folder / "file", "12345");
  EXPECT_EQ(read_small_file(folder / "file", ErrorKind::kData, 5), "12345");
  EXPECT_ERROR(read_small_file(folder / "file", ErrorKind::kData, 4), ErrorKind::kData, "the file has 5 bytes or more, at most 4 are read");
}

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
