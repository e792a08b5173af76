// Training under limits on addresses, as batch systems set them: it fits, or it ends with a resource error and whole checkpoints.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>

#include "checkpoint/training_checkpoint.h"
#include "support/tiny_run.h"
#include "test_places.h"

namespace temper {
namespace {

struct Ended {
  int exit_code;   // as the shell says it: 128 + signal where a signal ended it
  std::string output;
};

Ended run_within(int64_t kib, const std::string& threads, const std::string& arguments) {
  const std::string command = "ulimit -v " + std::to_string(kib) + "; OMP_WAIT_POLICY=PASSIVE " + threads + " '" TEMPER_BINARY "' " + arguments + " 2>&1";
  FILE* pipe = popen(("bash -c \"" + command + "\"").c_str(), "r");
  std::string output;
  for (int c; (c = fgetc(pipe)) != EOF;) output += static_cast<char>(c);
  const int status = pclose(pipe);
  return {WEXITSTATUS(status), output};
}

TEST(MemoryLimit, EveryLimitEndsInSuccessOrAResourceErrorWithWholeCheckpoints) {
  const test::TempFolder folder;
  test::write_tiny_run(folder.path());
  int n_fit = 0, n_refused = 0;
  for (int64_t mib = 500; mib <= 1250; mib += 50) {
    fs::remove_all(folder / "run");
    if (run_within(mib * 1024, "OMP_NUM_THREADS=1", "--version").exit_code != 0) continue;   // not even the libraries start
    const Ended ended = run_within(mib * 1024, "OMP_NUM_THREADS=" + std::to_string(1 + mib / 50 % 4), "train " + (folder / "run.toml").string() + " --set train.steps=4");
    EXPECT_TRUE(ended.exit_code == 0 || ended.exit_code == 6) << mib << " MiB: exit " << ended.exit_code << "\n" << ended.output;
    EXPECT_EQ(ended.exit_code == 6, ended.output.find("resource error") != std::string::npos) << mib << ended.output;
    for (const fs::path& path : list_checkpoints(folder / "run/checkpoints")) TrainingCheckpoint(path).verify();
    ++(ended.exit_code == 0 ? n_fit : n_refused);
  }
  EXPECT_GT(n_fit, 0);
  EXPECT_GT(n_refused, 0);
}

TEST(ThreadLimit, MoreThreadsThanAreGivenOrAllowedAreErrorsWithTheFourLines) {
  const test::TempFolder folder;
  test::write_tiny_run(folder.path());
  const Ended many = run_within(4 << 20, "TEMPER_THREADS=1000", "train " + (folder / "run.toml").string());
  EXPECT_EQ(many.exit_code, 6) << many.output;
  EXPECT_NE(many.output.find("a thread could not be started"), std::string::npos) << many.output;
  const Ended absurd = run_within(64 << 20, "TEMPER_THREADS=1000000", "train " + (folder / "run.toml").string());
  EXPECT_EQ(absurd.exit_code, 2) << absurd.output;
  EXPECT_NE(absurd.output.find("is not a whole number from 1 to 1024"), std::string::npos) << absurd.output;
}

}  // namespace
}  // namespace temper
