// The program as a user runs it: trained, killed, stopped and resumed.

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/rng.h"
#include "checkpoint/training_checkpoint.h"
#include "support/interrupt_request.h"
#include "support/tiny_run.h"
#include "train/trainer.h"

namespace temper {
namespace {

using test::events_of;
using test::InterruptRequest;
using test::metrics_without_times;
using test::ProgramResult;
using test::run_program;
using test::RunningProgram;
using test::TempFolder;
using test::write_tiny_run;

int64_t n_lines(const fs::path& file) {
  if (!fs::exists(file)) return 0;
  const std::string text = read_file(file);
  return std::count(text.begin(), text.end(), '\n');
}

bool checkpoint_under_way(const fs::path& run) {
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", gone))
    if (entry.path().filename().string().find(".partial") != std::string::npos) return true;
  return false;
}

std::vector<std::string> train(const TempFolder& folder, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"train", (folder / "run.toml").string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// Every tensor and number of two checkpoints, to the bit.
void expect_equal_checkpoints(const fs::path& a, const fs::path& b) {
  EXPECT_TRUE(read_file(a / "rank-0.safetensors") == read_file(b / "rank-0.safetensors"));
  const TrainingCheckpoint left(a), right(b);
  EXPECT_EQ(left.manifest().state, right.manifest().state);
  EXPECT_EQ(left.manifest().data_position, right.manifest().data_position);
}

/// The run that nobody disturbs, made once.
const TempFolder& undisturbed() {
  static const TempFolder folder;
  static const bool made = [] {
    write_tiny_run(folder.path());
    const ProgramResult result = run_program(train(folder));
    EXPECT_EQ(result.exit_code, 0) << result.output;
    return true;
  }();
  (void)made;
  return folder;
}

void expect_as_undisturbed(const TempFolder& folder) {
  const std::vector<std::string> found = metrics_without_times(folder / "run"), wanted = metrics_without_times(undisturbed() / "run");
  EXPECT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < std::min(found.size(), wanted.size()); ++i) ASSERT_EQ(found[i], wanted[i]);
  expect_equal_checkpoints(folder / "run" / "checkpoints" / "step-12", undisturbed() / "run" / "checkpoints" / "step-12");
}

TEST(Train, LearnsAndLeavesARunFolderThatExplainsItself) {
  const fs::path run = undisturbed() / "run";
  const std::vector<std::string> metrics = metrics_without_times(run);
  const auto held_out = [&](const std::string& line) { return parse_json(line, "metrics").at("eval/held_out_loss").get<double>(); };
  EXPECT_LT(held_out(metrics.back()), held_out(metrics.front()) - 0.5);   // from log(288) = 5.66 towards the words' entropy
  for (const char* file : {"resolved.toml", "environment.json", "events.jsonl", "checkpoints/step-12/manifest.json", "checkpoints/step-12/config.json",
                           "checkpoints/step-12/tokenizer.json", "checkpoints/step-12/recipe.toml"})
    EXPECT_TRUE(fs::exists(run / file)) << file;
  EXPECT_EQ(list_checkpoints(run / "checkpoints").size(), 2u);   // keep_last
  const Json last = parse_json(metrics[metrics.size() - 2], "metrics");
  for (const char* name : {"train/loss", "train/lm_loss", "train/mtp_loss", "train/balance_loss", "train/indexer_loss", "grad_norm/all", "grad_norm/routed_experts",
                           "train/trained_token_fraction", "moe/max_expert_load_ratio/layer_0"})
    EXPECT_TRUE(last.contains(name)) << name;
}

/// Five rows in steps of two: the first epoch ends with a smaller step.
TEST(Train, ARunThatIsGivenMoreEpochsEqualsOneThatHadThemAtOnce) {
  const TempFolder grown, whole;
  const auto run = [](const TempFolder& folder, const char* epochs) { return run_program(train(folder, {"--set", std::string("data.epochs=") + epochs})); };
  for (const TempFolder* folder : {&grown, &whole}) {
    write_tiny_run(folder->path());
    std::string rows;
    for (const char* answer : {"a", "two", "one two three", "four", "five six"}) rows += Json({{"prompt", "count"}, {"completion", answer}}).dump() + "\n";
    write_file_atomic(*folder / "rows.jsonl", rows);
    write_file_atomic(*folder / "run.toml", "stage = \"sft\"\nrun_folder = \"" + (*folder / "run").string() + R"("
allow_changes = ["data.epochs"]
[model]
config = "config.json"
tokenizer = "tokenizer"
[data]
sequence_length = 160
micro_batch = 2
packing = "none"
[[data.sources]]
path = "rows.jsonl"
[schedule]
kind = "constant"
lr = 3e-3
)");
  }
  for (const char* epochs : {"1", "2"}) {
    const ProgramResult result = run(grown, epochs);
    ASSERT_EQ(result.exit_code, 0) << result.output;
  }
  const ProgramResult result = run(whole, "2");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const auto without_evaluation = [](const fs::path& run) {
    std::vector<Json> steps;
    for (const std::string& line : metrics_without_times(run))
      if (Json step = parse_json(line, "metrics"); step.contains("train/loss")) steps.push_back(std::move(step));
    return steps;
  };
  const std::vector<Json> steps = without_evaluation(whole / "run");
  ASSERT_EQ(steps.size(), 6u);   // 2, 2, 1 rows, twice
  EXPECT_EQ(without_evaluation(grown / "run"), steps);
  EXPECT_EQ(steps[2]["train/epoch"], 1.0);
  EXPECT_EQ(steps[5]["train/epoch"], 2.0);
  expect_equal_checkpoints(grown / "run" / "checkpoints" / "step-6", whole / "run" / "checkpoints" / "step-6");
}

TEST(Train, AFinishedRunSaysSoAndAChangedRecipeIsAnErrorThatNamesTheKey) {
  const ProgramResult again = run_program(train(undisturbed()));
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_NE(again.output.find("this run is finished"), std::string::npos) << again.output;
  const ProgramResult changed = run_program(train(undisturbed(), {"--set", "schedule.lr=1e-5"}));
  EXPECT_EQ(changed.exit_code, 2);
  EXPECT_NE(changed.output.find("schedule.lr"), std::string::npos) << changed.output;
  expect_equal_checkpoints(undisturbed() / "run" / "checkpoints" / "step-12", undisturbed() / "run" / "checkpoints" / "step-12");
}

TEST(Train, KilledAtRandomStepsAndWhileACheckpointIsWrittenItEndsWithTheSameBits) {
  // tools/test-all.sh sets many rounds; a different seed each makes different moments.
  const char* wish = std::getenv("TEMPER_KILL_ROUNDS");
  const int n_rounds = wish ? std::atoi(wish) : 1;
  for (int round = 0; round < n_rounds; ++round) {
    const RandomStream stream(static_cast<uint64_t>(round), "tests/kill");
    const TempFolder folder;
    write_tiny_run(folder.path());
    const fs::path run = folder / "run";
    bool finished = false;
    int n_kills = 0;
    for (uint64_t start = 0; !finished && start < 40; ++start) {
      RunningProgram program(train(folder));
      // Two kills at steps, one while a checkpoint is written, further ones where the seed says so; then it may finish.
      const bool in_checkpoint = start % 3 == 2;
      const bool spare = start >= 3 && (start > 8 || stream.below(start, 2) == 0);
      const int64_t until = n_lines(run / "metrics.jsonl") + 1 + static_cast<int64_t>(stream.below(100 + start, 4));
      while (!spare && program.running()) {
        if (in_checkpoint ? checkpoint_under_way(run) : n_lines(run / "metrics.jsonl") >= until) {
          std::this_thread::sleep_for(std::chrono::microseconds(stream.below(200 + start, 3000)));
          program.signal(SIGKILL);
          ++n_kills;
          break;
        }
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
      const ProgramResult result = program.wait();
      finished = result.exit_code == 0;
      EXPECT_TRUE(finished || result.exit_code == -1) << result.exit_code << result.output;
    }
    ASSERT_TRUE(finished);
    EXPECT_GE(n_kills, 2);
    expect_as_undisturbed(folder);
  }
}

TEST(Train, CtrlCStopsWithACheckpointAndExit130AndGoesOnWithTheSameBits) {
  const TempFolder folder;
  write_tiny_run(folder.path());
  RunningProgram program(train(folder, {"--set", "checkpoint.every_steps=0"}));
  while (program.running() && n_lines(folder / "run" / "metrics.jsonl") < 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  program.signal(SIGINT);
  const ProgramResult stopped = program.wait();
  EXPECT_EQ(stopped.exit_code, 130) << stopped.output;
  EXPECT_EQ(list_checkpoints(folder / "run" / "checkpoints").size(), 1u);
  EXPECT_EQ(events_of(folder / "run").back().at("event"), "stop");
  EXPECT_EQ(run_program(train(folder)).exit_code, 0);
  expect_as_undisturbed(folder);
}

// The first evaluation, because no clock is needed to stop in the middle of it.
TEST(Train, CtrlCCutsAnEvaluationShortAndTheResumedRunMakesIt) {
  const TempFolder folder;
  write_tiny_run(folder.path());
  {
    Trainer trainer(load_recipe(folder / "run.toml", {}));
    const InterruptRequest request;
    EXPECT_THROW(trainer.run(), Interrupted);
  }
  EXPECT_EQ(n_lines(folder / "run" / "metrics.jsonl"), 0);
  EXPECT_TRUE(fs::exists(folder / "run" / "checkpoints" / "step-0"));
  EXPECT_EQ(run_program(train(folder)).exit_code, 0);
  expect_as_undisturbed(folder);
}

TEST(Train, BadInputGivesTheRightExitCodeBeforeTheFirstStep) {
  const TempFolder folder;
  write_tiny_run(folder.path());
  write_file_atomic(folder / "empty.txt", "");
  fs::create_directories(folder / "file");
  write_file_atomic(folder / "not_a_folder", "x");
  const auto code = [&](const std::string& setting) {
    const ProgramResult result = run_program(train(folder, {"--set", setting}));
    EXPECT_NE(result.output.find("fix:"), std::string::npos) << setting << result.output;
    return result.exit_code;
  };
  EXPECT_EQ(code("train.stepz=3"), 2);
  EXPECT_EQ(code("data.sources=[{path='empty.txt'}]"), 3);
  EXPECT_EQ(code("data.sources=[{path='none.txt'}]"), 3);
  EXPECT_EQ(code("model.config=none.json"), 2);
  EXPECT_EQ(code("run_folder=" + (folder / "not_a_folder" / "run").string()), 6);
  EXPECT_EQ(run_program({"train"}).exit_code, 64);
  EXPECT_FALSE(fs::exists(folder / "run" / "metrics.jsonl"));
}

TEST(Train, TheMemoryOfARunIsPlannedRecordedAndBounded) {
  const ProgramResult inspected = run_program({"inspect", (undisturbed() / "run").string(), "--memory"});
  EXPECT_EQ(inspected.exit_code, 0) << inspected.output;
  for (const char* part : {"masters", "optimizer state", "program", "total", "measured peak"}) EXPECT_NE(inspected.output.find(part), std::string::npos) << inspected.output;

  const TempFolder folder;
  write_tiny_run(folder.path());
  const ProgramResult too_small = run_program(train(folder, {"--set", "memory.budget_gib=0.001"}));
  EXPECT_EQ(too_small.exit_code, 6) << too_small.output;
  EXPECT_NE(too_small.output.find("with every sub-layer computed again, the budget is 0.001 GiB"), std::string::npos) << too_small.output;
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(Train, DryRunPrintsStepsParametersAndMemoryAndWritesNothing) {
  const TempFolder folder;
  write_tiny_run(folder.path());
  const ProgramResult result = run_program(train(folder, {"--dry-run"}));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  for (const char* part : {"12 steps", "by Muon", "routed experts", "GiB"}) EXPECT_NE(result.output.find(part), std::string::npos) << result.output;
  EXPECT_FALSE(fs::exists(folder / "run"));
}

}  // namespace
}  // namespace temper
