// Runs on a model with a DSpark drafter: the drafter goes around the training, and the training does not notice it.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "checkpoint/drafter.h"
#include "checkpoint/export.h"
#include "checkpoint/training_checkpoint.h"
#include "support/dspark_model.h"
#include "support/tiny_model.h"
#include "support/tiny_run.h"

namespace temper {
namespace {

using namespace test;

DsparkModel mini() { return with_dspark(tiny_run_config(), 3, 4, 287); }

// `with` a drafter, `without` the same main weights alone, and a recipe for each.
struct Folders {
  TempFolder folder;
  Folders() {
    write_tiny_run(folder.path());
    const auto tensors = random_tensors_of(mini().tensors(), mini().main);
    write_dspark_folder(folder / "with", mini(), tensors);
    write_model_folder(folder / "without", mini().main, only(tensors, "mtp.", false));
  }
  test::ProgramResult train(const std::string& model, const std::string& run, std::vector<std::string> sets = {}) const {
    std::vector<std::string> arguments = {"train", (folder / "run.toml").string()};
    sets.insert(sets.begin(), {"model.config=", "model.path=" + model, "train.mtp_loss_weight=0", "train.steps=3", "run_folder=" + (folder / run).string()});
    for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
    return run_program(arguments);
  }
  std::string path(const std::string& name) const { return (folder / name).string(); }
};

std::map<std::string, std::string> bytes_under(const fs::path& model, const std::string& prefix) {
  const SafetensorsFolder files(model);
  std::map<std::string, std::string> bytes;
  for (const std::string& name : files.names()) {
    if (!name.starts_with(prefix)) continue;
    const auto data = files.entry(name).file->bytes(*files.entry(name).stored);
    bytes[name] = std::string(reinterpret_cast<const char*>(data.data()), data.size());
  }
  return bytes;
}

TEST(DrafterRun, TrainingLeavesTheDrafterByteForByteAndTheDrafterLeavesTheTrainingBitForBit) {
  const Folders f;
  const test::ProgramResult with = f.train("with", "run_with"), without = f.train("without", "run_without");
  ASSERT_EQ(with.exit_code, 0) << with.output;
  ASSERT_EQ(without.exit_code, 0) << without.output;
  EXPECT_NE(with.output.find("the MTP loss is off"), std::string::npos) << with.output;
  EXPECT_EQ(metrics_without_times(f.folder / "run_with"), metrics_without_times(f.folder / "run_without"));

  const TrainingCheckpoint a(f.folder / "run_with/checkpoints/step-3"), b(f.folder / "run_without/checkpoints/step-3");
  ASSERT_EQ(a.manifest().tensors.size(), b.manifest().tensors.size());   // no drafter in the checkpoint
  for (size_t i = 0; i < a.manifest().tensors.size(); ++i) {
    EXPECT_EQ(a.manifest().tensors[i].name, b.manifest().tensors[i].name);
    EXPECT_EQ(a.manifest().tensors[i].pieces[0].xxh3, b.manifest().tensors[i].pieces[0].xxh3) << a.manifest().tensors[i].name;
  }
  ASSERT_EQ(a.manifest().carried.size(), 1u);
  const DrafterRecord record = drafter_record_from_json(a.manifest().carried[0], "here");
  EXPECT_EQ(record, Drafter(f.folder / "with", mini().main).record());
  EXPECT_EQ(a.manifest().carried[0].at("note"), kDrafterNote);

  for (const std::string run : {"run_with", "run_without"}) {
    const test::ProgramResult exported = run_program({"export", "--from", f.path(run), "--to", f.path(run + "_export"), "--dtype", "fp8-fp4"});
    ASSERT_EQ(exported.exit_code, 0) << exported.output;
  }
  EXPECT_EQ(bytes_under(f.folder / "with", "mtp."), bytes_under(f.folder / "run_with_export", "mtp."));
  EXPECT_TRUE(bytes_under(f.folder / "run_without_export", "mtp.").empty());
  for (const char* prefix : {"layers.", "embed.", "head.", "norm.", "hc_head"})
    EXPECT_EQ(bytes_under(f.folder / "run_with_export", prefix), bytes_under(f.folder / "run_without_export", prefix));
  const Json before = read_json(f.folder / "with/config.json"), after = read_json(f.folder / "run_with_export/config.json");
  for (const char* key : {"dspark_block_size", "dspark_noise_token_id", "dspark_target_layer_ids", "dspark_markov_rank", "compress_ratios", "num_nextn_predict_layers"})
    EXPECT_EQ(before.at(key), after.at(key)) << key;
  EXPECT_NE(read_file(f.folder / "run_with_export/README.md").find("fewer drafts may be accepted"), std::string::npos);

  // A second stage starts from the export as from a release.
  const test::ProgramResult second = f.train("run_with_export", "run_second");
  ASSERT_EQ(second.exit_code, 0) << second.output;
}

TEST(DrafterRun, AResumedRunKeepsTheRecordThoughTheFolderIsGone) {
  const Folders f;
  ASSERT_EQ(f.train("with", "run", {"train.steps=3"}).exit_code, 0);
  fs::rename(f.folder / "with", f.folder / "moved");
  fs::create_directories(f.folder / "with");
  fs::copy_file(f.folder / "moved/config.json", f.folder / "with/config.json");
  const test::ProgramResult more = f.train("with", "run", {"train.steps=6", "allow_changes=['train.steps']"});
  ASSERT_EQ(more.exit_code, 0) << more.output;
  EXPECT_EQ(TrainingCheckpoint(f.folder / "run/checkpoints/step-6").manifest().carried, TrainingCheckpoint(f.folder / "run/checkpoints/step-3").manifest().carried);
  const test::ProgramResult refused = run_program({"export", "--from", f.path("run"), "--to", f.path("x"), "--dtype", "fp8-fp4"});
  EXPECT_EQ(refused.exit_code, 4) << refused.output;
  EXPECT_NE(refused.output.find("--drafter drop"), std::string::npos) << refused.output;
  const test::ProgramResult attached = run_program({"export", "--from", f.path("run"), "--to", f.path("y"), "--dtype", "fp8-fp4", "--drafter", f.path("moved")});
  ASSERT_EQ(attached.exit_code, 0) << attached.output;
  EXPECT_EQ(bytes_under(f.folder / "moved", "mtp."), bytes_under(f.folder / "y", "mtp."));
}

TEST(DrafterRun, TheRecipeDropsOrAttachesADrafter) {
  const Folders f;
  ASSERT_EQ(f.train("with", "dropped", {"model.drafter=drop"}).exit_code, 0);
  EXPECT_TRUE(TrainingCheckpoint(f.folder / "dropped/checkpoints/step-3").manifest().carried.empty());
  const test::ProgramResult attached = f.train("without", "attached", {"model.drafter=with"});
  ASSERT_EQ(attached.exit_code, 0) << attached.output;
  EXPECT_EQ(metrics_without_times(f.folder / "dropped"), metrics_without_times(f.folder / "attached"));
  const test::ProgramResult exported = run_program({"export", "--from", f.path("attached"), "--to", f.path("x"), "--dtype", "fp8-fp4"});
  ASSERT_EQ(exported.exit_code, 0) << exported.output;
  EXPECT_EQ(bytes_under(f.folder / "with", "mtp."), bytes_under(f.folder / "x", "mtp."));
}

TEST(DrafterRun, AnMtpLossIsAnErrorThatSaysWhy) {
  const Folders f;
  for (const char* set : {"model.drafter=keep", "model.drafter=drop"}) {
    const test::ProgramResult result = f.train("with", "run", {"train.mtp_loss_weight=0.3", set});
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_NE(result.output.find("the model's drafter is DSpark, which is carried and not trained"), std::string::npos) << result.output;
  }
  const test::ProgramResult bench = run_program({"bench", "train", "--model-config", f.path("with"), "--mtp", "--seq", "16", "--batch", "1", "--steps", "1"});
  EXPECT_EQ(bench.exit_code, 2) << bench.output;
  EXPECT_NE(bench.output.find("DSpark"), std::string::npos) << bench.output;
}

TEST(DrafterRun, TheDryRunSaysWhatIsCarried) {
  const Folders f;
  const test::ProgramResult plan = run_program({"train", f.path("run.toml"), "--set", "model.config=", "--set", "model.path=with", "--set", "train.mtp_loss_weight=0", "--dry-run"});
  ASSERT_EQ(plan.exit_code, 0) << plan.output;
  const Drafter drafter(f.folder / "with", mini().main);
  EXPECT_NE(plan.output.find(fmt::format("DSpark, 3 stages, {} tensors, {} bytes: carried from", drafter.tensors().size(), drafter.n_bytes())), std::string::npos) << plan.output;
}

}  // namespace
}  // namespace temper
