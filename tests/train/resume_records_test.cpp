// A run that goes on: what is not as it was is named, recorded, or refused.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "support/expect_error.h"
#include "support/rewrite_checkpoint.h"
#include "support/tiny_run.h"
#include "train/resume.h"

namespace temper {
namespace {

using test::events_of;
using test::ProgramResult;
using test::run_program;
using test::TempFolder;

/// Six steps of a run of twelve, with checkpoints of steps 3 and 6.
class StoppedRun : public testing::Test {
 protected:
  void SetUp() override {
    test::write_tiny_run(folder_.path());
    const ProgramResult result = go_on({"--set", "train.steps=6"});
    ASSERT_EQ(result.exit_code, 0) << result.output;
  }
  void TearDown() override { ::unsetenv("TEMPER_KERNELS"); }

  ProgramResult go_on(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"train", (folder_ / "run.toml").string(), "--set", "allow_changes=['train.steps', 'schedule.lr']"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  fs::path run() const { return folder_ / "run"; }
  fs::path checkpoint(int64_t step) const { return run() / "checkpoints" / ("step-" + std::to_string(step)); }
  // Null if there is none.
  Json event(const std::string& kind) const {
    Json found;
    for (const Json& e : events_of(run()))
      if (e.at("event") == kind) found = e;
    return found;
  }
  void change_byte(const fs::path& file, size_t at) const {
    std::string content = read_file(file);
    content.at(at) ^= 1;
    write_file_atomic(file, content);
  }

  TempFolder folder_;
};

TEST_F(StoppedRun, GoingOnUndisturbedHasNothingToSay) {
  const ProgramResult result = go_on();
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(result.output.find("damaged"), std::string::npos) << result.output;
  for (const char* kind : {"environment_changed", "records_damaged", "checkpoint_damaged"}) EXPECT_TRUE(event(kind).is_null()) << kind;
  EXPECT_EQ(event("recipe_changed").at("changes").at("train.steps"), Json({"6", "12"}));
}

TEST_F(StoppedRun, OtherKernelsAreAWarningAndAnEventWithBothValuesAndBothEnvironmentsAreKept) {
  ::setenv("TEMPER_KERNELS", "reference", 1);
  const ProgramResult result = go_on();
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find("kernels fast -> reference"), std::string::npos) << result.output;
  EXPECT_EQ(event("environment_changed").at("changes").at("kernels"), Json({"fast", "reference"}));
  const Json environment = read_json(run() / "environment.json");
  EXPECT_EQ(environment.at("kernels"), "reference");
  EXPECT_EQ(environment.at("from_step"), 6);
  ASSERT_EQ(environment.at("earlier").size(), 1u);
  EXPECT_EQ(environment["earlier"][0].at("kernels"), "fast");
}

TEST_F(StoppedRun, ExactResumeRefusesOtherKernelsAndTouchesNothing) {
  const std::string before = read_file(run() / "metrics.jsonl");
  ::setenv("TEMPER_KERNELS", "reference", 1);
  const ProgramResult result = go_on({"--set", "train.exact_resume=true"});
  EXPECT_EQ(result.exit_code, 2) << result.output;
  EXPECT_NE(result.output.find("the numbers of this run would change: kernels fast -> reference"), std::string::npos) << result.output;
  EXPECT_EQ(read_file(run() / "metrics.jsonl"), before);
  ::unsetenv("TEMPER_KERNELS");
  EXPECT_EQ(go_on({"--set", "train.exact_resume=true"}).exit_code, 0);
}

TEST_F(StoppedRun, AnEnvironmentFileOfTheOldFormAndADamagedOneAreKept) {
  write_file_atomic(run() / "environment.json", "{\"threads\": 64, \"isa\": \"x\"}");
  EXPECT_EQ(go_on({"--set", "train.steps=7"}).exit_code, 0);
  EXPECT_EQ(read_json(run() / "environment.json").at("earlier")[0].at("threads"), 64);
  write_file_atomic(run() / "environment.json", "{\"thr");
  EXPECT_EQ(go_on({"--set", "train.steps=8"}).exit_code, 0);
  EXPECT_EQ(read_json(run() / "environment.json").at("earlier")[0].at("damaged"), "{\"thr");
}

TEST_F(StoppedRun, MetricsThatWereCutOrDamagedAreNamedAndRecorded) {
  const std::string whole = read_file(run() / "metrics.jsonl");
  std::vector<std::string> lines;
  for (size_t begin = 0, end; (end = whole.find('\n', begin)) != std::string::npos; begin = end + 1) lines.push_back(whole.substr(begin, end + 1 - begin));
  ASSERT_EQ(lines.size(), 9u);   // held-out losses of steps 0, 4 and 6, and six steps
  lines[2] = "{\"step\": 2, \"train/lo\n";
  write_file_atomic(run() / "metrics.jsonl", lines[0] + lines[1] + lines[2] + lines[3] + lines[4]);
  const ProgramResult result = go_on();
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find("metrics.jsonl is not complete up to step 6: damaged lines: 3; missing steps: 2, 5-6; missing held-out losses of steps: 4, 6"), std::string::npos) << result.output;
  const Json found = event("records_damaged");
  EXPECT_EQ(found.at("missing_steps"), Json::parse("[[2,2],[5,6]]"));
  EXPECT_EQ(found.at("damaged_lines"), Json({3}));
}

TEST_F(StoppedRun, LostMetricsAreNamed) {
  fs::remove(run() / "metrics.jsonl");
  const ProgramResult result = go_on();
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find("missing steps: 1-6"), std::string::npos) << result.output;
}

TEST_F(StoppedRun, TheRecipeInsideTheCheckpointDecidesWhateverBecameOfResolvedToml) {
  fs::remove(run() / "resolved.toml");
  const ProgramResult changed = go_on({"--set", "train.mtp_loss_weight=0.1"});
  EXPECT_EQ(changed.exit_code, 2) << changed.output;
  EXPECT_NE(changed.output.find("the recipe has changed since this run was started: train.mtp_loss_weight"), std::string::npos) << changed.output;
  std::string edited = read_file(checkpoint(6) / "recipe.toml");
  edited.replace(edited.find("mtp_loss_weight = 0.3"), 21, "mtp_loss_weight = 0.1");
  write_file_atomic(run() / "resolved.toml", edited);
  EXPECT_EQ(go_on({"--set", "train.mtp_loss_weight=0.1"}).exit_code, 2);
  const ProgramResult same = go_on();
  EXPECT_EQ(same.exit_code, 0) << same.output;
  EXPECT_NE(same.output.find("resolved.toml is not the recipe of the checkpoint"), std::string::npos) << same.output;
  EXPECT_EQ(event("records_damaged").at("file"), "resolved.toml");
}

TEST_F(StoppedRun, ADamagedNewestCheckpointIsRefusedAndTheWholeOneBeforeItIsNamed) {
  change_byte(checkpoint(6) / "rank-0.safetensors", 100000);
  const ProgramResult result = go_on();
  EXPECT_EQ(result.exit_code, 4) << result.output;
  EXPECT_NE(result.output.find("the newest checkpoint is damaged: the bytes of"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("set [checkpoint] fallback = true to go on from " + checkpoint(3).string() + ", which is whole"), std::string::npos) << result.output;
  EXPECT_TRUE(fs::exists(checkpoint(6)));
}

TEST_F(StoppedRun, FallbackGoesOnFromTheWholeOneKeepsTheDamagedOneAndGivesTheSameBits) {
  change_byte(checkpoint(6) / "manifest.json", 200);
  const ProgramResult result = go_on({"--set", "checkpoint.fallback=true"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find("step-6 is damaged"), std::string::npos) << result.output;
  const Json found = event("checkpoint_damaged");
  EXPECT_EQ(found.at("checkpoint"), "step-6");
  EXPECT_EQ(found.at("kept_as"), "step-6.damaged");
  EXPECT_EQ(found.at("going_on_from"), "step-3");
  EXPECT_TRUE(fs::exists(run() / "checkpoints/step-6.damaged/rank-0.safetensors"));
  // The same as a run of twelve steps that nobody disturbed, but for the learning rates of a run planned as six steps: compare with such a one.
  TempFolder other;
  test::write_tiny_run(other.path());
  ASSERT_EQ(run_program({"train", other / "run.toml", "--set", "train.steps=6", "--set", "allow_changes=['train.steps']"}).exit_code, 0);
  fs::remove_all(other / "run/checkpoints/step-6");
  ASSERT_EQ(run_program({"train", other / "run.toml", "--set", "allow_changes=['train.steps']"}).exit_code, 0);
  EXPECT_EQ(test::metrics_without_times(run()), test::metrics_without_times(other / "run"));
  EXPECT_EQ(read_file(checkpoint(12) / "rank-0.safetensors"), read_file(other / "run/checkpoints/step-12/rank-0.safetensors"));
}

TEST_F(StoppedRun, WithoutAWholeCheckpointFallbackIsAnErrorToo) {
  change_byte(checkpoint(3) / "rank-0.safetensors", 100000);
  change_byte(checkpoint(6) / "rank-0.safetensors", 100000);
  EXPECT_NE(go_on().output.find("no older checkpoint of this run is whole"), std::string::npos);
  const ProgramResult result = go_on({"--set", "checkpoint.fallback=true"});
  EXPECT_EQ(result.exit_code, 4) << result.output;
  EXPECT_NE(result.output.find("no checkpoint of this run is whole"), std::string::npos) << result.output;
}

TEST_F(StoppedRun, NumbersOfAManifestWithRightDigestsAreBounded) {
  const std::string good = read_file(checkpoint(6) / "manifest.json");
  const auto expect_refused = [&](const std::string& key, const std::function<void(Manifest&)>& change) {
    write_file_atomic(checkpoint(6) / "manifest.json", good);
    test::rewrite_manifest(checkpoint(6), change);
    const ProgramResult result = go_on();
    EXPECT_EQ(result.exit_code, 4) << key << result.output;
    EXPECT_NE(result.output.find(key), std::string::npos) << result.output;
  };
  for (const Json& value : {Json(int64_t{1} << 62), Json(-1), Json(1e30), Json("x"), Json(), Json(std::numeric_limits<uint64_t>::max())})
    expect_refused("\"step\"", [&](Manifest& m) { m.data_position["step"] = value; });
  expect_refused("the data position is that of step 5", [](Manifest& m) { m.data_position["step"] = 5; });
  expect_refused("data_digest", [](Manifest& m) { m.data_position["data_digest"] = 7; });
  for (const char* key : {"optimizer_steps", "consecutive_skips", "total_skips", "tokens", "trained_tokens"}) {
    for (const Json& value : {Json(std::numeric_limits<int64_t>::max()), Json(-1), Json("x"), Json(0.5), Json::array()})
      expect_refused(key, [&](Manifest& m) { m.state[key] = value; });
    expect_refused(key, [&](Manifest& m) { m.state.erase(key); });
  }
  expect_refused("\"step\"", [](Manifest& m) { m.step = std::numeric_limits<int64_t>::max(); });
  expect_refused("impossible shape", [](Manifest& m) {
    m.tensors[0].shape = m.tensors[0].pieces[0].shape = {int64_t{1} << 61};
    m.tensors[0].pieces[0].start = {0};
    m.tensors[0].pieces[0].bytes = 0;
  });
}

TEST(TrainNumbers, StepsWithoutEndAreRefusedAtOnce) {
  const TempFolder folder;
  test::write_tiny_run(folder.path());
  for (const char* steps : {"9223372036854775807", "1000000001"}) {
    const ProgramResult result = run_program({"train", folder / "run.toml", "--dry-run", "--set", "train.steps=" + std::string(steps)});
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_NE(result.output.find("steps = "), std::string::npos) << result.output;
  }
  const ProgramResult result = run_program({"train", folder / "run.toml", "--dry-run", "--set", "train.steps=1000000000"});
  EXPECT_EQ(result.exit_code, 2) << result.output;
  EXPECT_NE(result.output.find("passes over the data, at most 1048576 are made"), std::string::npos) << result.output;
}

TEST(TrainNumbers, EveryFloatOfARecipeIsFiniteAndBounded) {
  const TempFolder folder;
  test::write_tiny_run(folder.path());
  for (const char* key : {"schedule.lr", "train.mtp_loss_weight", "train.balance_loss_weight", "train.indexer_loss_weight", "train.router_bias_speed", "optim.clip_norm", "optim.adamw.epsilon",
                          "optim.adamw.weight_decay", "optim.muon.weight_decay", "optim.muon.update_rms", "model.init_std", "model.hc_scale", "memory.budget_gib", "checkpoint.every_seconds"})
    for (const char* value : {"inf", "nan", "1e308"}) {
      const ProgramResult result = run_program({"train", folder / "run.toml", "--dry-run", "--set", std::string(key) + "=" + value});
      EXPECT_EQ(result.exit_code, 2) << key << value << result.output;
    }
}

TEST(TrainNumbers, ALearningRateBeyondUseEndsAsANumericsErrorAndEveryCheckpointIsFinite) {
  const TempFolder folder;
  test::write_tiny_run(folder.path());
  const ProgramResult result = run_program({"train", folder / "run.toml", "--set", "schedule.lr=100", "--set", "schedule.warmup_steps=0", "--set", "optim.adamw.weight_decay=1000", "--set", "checkpoint.every_steps=1",
                                            "--set", "checkpoint.keep_last=0", "--set", "eval.every_steps=0", "--set", "train.steps=60"});
  EXPECT_EQ(result.exit_code, 7) << result.output;
  const std::vector<fs::path> checkpoints = list_checkpoints(folder / "run/checkpoints");
  EXPECT_FALSE(checkpoints.empty());
  for (const fs::path& path : checkpoints) {
    const TrainingCheckpoint checkpoint(path);
    for (const ManifestTensor& tensor : checkpoint.manifest().tensors)
      if (tensor.dtype == StoredDtype::kF32) {
        EXPECT_TRUE(std::isfinite(checkpoint.tensor(tensor.name).to(at::kDouble).sum().item<double>())) << path << tensor.name;
      }
  }
}

// Weights that no loss reaches: nothing else would notice.
TEST(TrainNumbers, BrokenWeightsAreNotWrittenAsACheckpointAndTheOneBeforeStaysTheNewest) {
  const TempFolder folder;
  test::write_tiny_run(folder.path());
  const std::vector<std::string> without_mtp = {"train", folder / "run.toml", "--set", "train.mtp_loss_weight=0", "--set", "allow_changes=['train.steps']"};
  std::vector<std::string> first = without_mtp;
  first.insert(first.end(), {"--set", "train.steps=3"});
  ASSERT_EQ(run_program(first).exit_code, 0);
  const fs::path checkpoint = folder / "run/checkpoints/step-3";
  Tensor norm = TrainingCheckpoint(checkpoint).tensor("weights/mtp.0.norm.weight");
  norm[1] = std::numeric_limits<float>::quiet_NaN();
  test::rewrite_tensor(checkpoint, "weights/mtp.0.norm.weight", norm);
  const ProgramResult result = run_program(without_mtp);
  EXPECT_EQ(result.exit_code, 7) << result.output;
  EXPECT_NE(result.output.find("weights/mtp.0.norm.weight has values that are not finite: no checkpoint was written"), std::string::npos) << result.output;
  EXPECT_EQ(list_checkpoints(folder / "run/checkpoints"), std::vector<fs::path>{checkpoint});
  EXPECT_EQ(events_of(folder / "run").back().at("event"), "not_finite");
}

TEST(SettingsWithoutEffect, AreAWarningAndAnEvent) {
  const TempFolder folder;
  test::write_tiny_run(folder.path());
  const ProgramResult result = run_program({"train", folder / "run.toml", "--set", "train.steps=2", "--set", "data.held_out_fraction=1e-9", "--set", "schedule.warmup_steps=50"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find("data.held_out_fraction = 1e-09 takes no row"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("schedule.warmup_steps = 50 does not end within the 2 steps"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("eval.every_steps = 4, but no rows are held out"), std::string::npos) << result.output;
  bool found = false;
  for (const Json& event : events_of(folder / "run"))
    if (event.at("event") == "no_effect") found = event.at("settings").size() == 3;
  EXPECT_TRUE(found);
}

TEST(EnvironmentChanges, NameWhatNumbersDependOn) {
  const Json before = {{"threads", 4}, {"isa", "avx512"}, {"host", "a"}, {"commit", "x"}}, now = {{"threads", 2}, {"isa", "avx2"}, {"host", "b"}, {"commit", "x"}, {"kernels", "fast"}};
  EXPECT_EQ(describe(environment_changes(before, now)), "isa avx512 -> avx2, threads 4 -> 2");
  EXPECT_TRUE(environment_changes(now, now).empty());
  EXPECT_TRUE(environment_changes(Json(), now).empty());
}

}  // namespace
}  // namespace temper
