#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/output.h"
#include "base/partial_folder.h"
#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

size_t n_entries(const fs::path& folder) { return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator())); }

TEST(FileWriter, LeavesAFileOfAnotherWithTheNameOfAPartialOneAlone) {
  const test::TempFolder folder;
  write_file_atomic(folder / "a.partial", "precious");
  write_file_atomic(folder / "a", "new");
  EXPECT_EQ(read_file(folder / "a"), "new");
  EXPECT_EQ(read_file(folder / "a.partial"), "precious");
  EXPECT_EQ(n_entries(folder.path()), 2u);
}

TEST(FileWriter, FollowsAChainOfLinksAndKeepsThem) {
  const test::TempFolder folder;
  fs::create_directory(folder / "real");
  write_file_atomic(folder / "real" / "file", "old");
  ::chmod((folder / "real" / "file").c_str(), 0640);
  fs::create_symlink("real/file", folder / "second");
  fs::create_symlink(folder / "second", folder / "first");
  write_file_atomic(folder / "first", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "first"));
  EXPECT_TRUE(fs::is_symlink(folder / "second"));
  EXPECT_EQ(read_file(folder / "real" / "file"), "new");
  EXPECT_EQ(static_cast<unsigned>(fs::status(folder / "real" / "file").permissions()), 0640u);
}

TEST(FileWriter, MakesTheFileThatADanglingLinkNames) {
  const test::TempFolder folder;
  fs::create_symlink("later", folder / "link");
  write_file_atomic(folder / "link", "x");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "later"), "x");
}

TEST(FileWriter, WritesToADeviceAndLeavesItADevice) {
  const fs::path device = "/dev/null";
  write_file_atomic(device, "x");
  EXPECT_TRUE(fs::is_character_file(device));
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  FileWriter writer("/dev/full");
  EXPECT_TRUE(is_stream("/dev/full"));
  EXPECT_ERROR(writer.write("x"), ErrorKind::kResource, "No space left on device");
}

TEST(FileWriter, WritesToANamedPipe) {
  const test::TempFolder folder;
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string got;
  std::thread reader([&] { got = read_input(pipe); });
  write_file_atomic(pipe, "through");
  reader.join();
  EXPECT_EQ(got, "through");
  EXPECT_TRUE(fs::is_fifo(pipe));
}

// What a shell opens with 3>> FILE is written at its end, not replaced.
TEST(FileWriter, WritesToAnOpenDescriptorWhereTheCallerLeftOff) {
  const test::TempFolder folder;
  const fs::path file = folder / "log";
  write_file_atomic(file, "first\n");
  const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND);
  ASSERT_GE(fd, 0);
  for (const std::string& name : {"/dev/fd/" + std::to_string(fd), "/proc/self/fd/" + std::to_string(fd)}) write_file_atomic(name, "more\n");
  fs::create_symlink("/proc/self/fd/" + std::to_string(fd), folder / "link");
  write_file_atomic(folder / "link", "last\n");
  ::close(fd);
  EXPECT_EQ(read_file(file), "first\nmore\nmore\nlast\n");
}

TEST(FileWriter, SaysBeforeTheWorkWhatCannotBeWritten) {
  const test::TempFolder folder;
  fs::create_directory(folder / "here");
  fs::create_symlink("loop", folder / "loop");
  write_file_atomic(folder / "file", "x");
  EXPECT_ERROR(FileWriter(folder / "here"), ErrorKind::kResource, "name a file: this is a folder");
  EXPECT_ERROR(FileWriter(folder / "here/"), ErrorKind::kResource, "name a file: this is a folder");
  EXPECT_ERROR(FileWriter(folder / "no" / "file"), ErrorKind::kResource, "make its folder first: mkdir -p " + (folder / "no").string());
  EXPECT_ERROR(FileWriter(folder / "file" / "x"), ErrorKind::kResource, "one of its parts is a file");
  EXPECT_ERROR(FileWriter(folder / "loop"), ErrorKind::kResource, "they lead in a circle");
  EXPECT_ERROR(FileWriter(folder / std::string(300, 'x')), ErrorKind::kResource, "choose a shorter name");
  EXPECT_ERROR(FileWriter("/proc/self/fd/0x"), ErrorKind::kResource, "writing into the folder failed");
  EXPECT_EQ(n_entries(folder.path()), 3u);
}

TEST(FileWriter, TakesANameAsLongAsTheSystemDoes) {
  const test::TempFolder folder;
  const std::string name(255, 'n');
  write_file_atomic(folder / name, "x");
  EXPECT_EQ(read_file(folder / name), "x");
}

TEST(PartialFolder, KeepsAFolderOfAnotherWithItsName) {
  const test::TempFolder folder;
  fs::create_directory(folder / "x.partial");
  write_file_atomic(folder / "x.partial" / "thesis.txt", "precious");
  write_file_atomic(folder / "x.partial-2", "a file");
  {
    PartialFolder partial(folder / "x");
    EXPECT_EQ(partial.path(), folder / "x.partial-3");
    write_file_atomic(partial.path() / "a", "new");
    partial.finish();
  }
  EXPECT_EQ(read_file(folder / "x" / "a"), "new");
  EXPECT_EQ(n_entries(folder / "x"), 1u);   // without the mark
  EXPECT_EQ(read_file(folder / "x.partial" / "thesis.txt"), "precious");
  EXPECT_EQ(read_file(folder / "x.partial-2"), "a file");
  EXPECT_FALSE(fs::exists(folder / "x.partial-3"));
}

TEST(PartialFolder, RemovesWhatAKilledRunLeftButNotWhatALivingOneFills) {
  const test::TempFolder folder;
  if (const pid_t child = ::fork(); child == 0) {
    auto* const killed = new PartialFolder(folder / "x");
    write_file_atomic(killed->path() / "half", "half");
    ::_exit(0);   // no destructor runs, and the lock goes with the process
  } else {
    int status = 0;
    ::waitpid(child, &status, 0);
  }
  ASSERT_TRUE(fs::exists(folder / "x.partial" / "half"));
  PartialFolder first(folder / "x"), second(folder / "x");
  EXPECT_EQ(first.path(), folder / "x.partial");
  EXPECT_FALSE(fs::exists(first.path() / "half"));
  EXPECT_EQ(second.path(), folder / "x.partial-2");
}

TEST(PartialFolder, DoesNotReplaceAFolderThatWasFilledMeanwhile) {
  const test::TempFolder folder;
  PartialFolder partial(folder / "x");
  fs::create_directory(folder / "x");
  write_file_atomic(folder / "x" / "mine", "precious");
  EXPECT_ERROR(partial.finish(), ErrorKind::kResource, "not empty");
  EXPECT_EQ(read_file(folder / "x" / "mine"), "precious");
}

TEST(PartialFolder, LeavesNothingWhenTheWorkFails) {
  const test::TempFolder folder;
  { PartialFolder partial(folder / "x"); }
  EXPECT_EQ(n_entries(folder.path()), 0u);
}

}  // namespace
}  // namespace temper
