// Checkpoints are judged by what they are for: whatever happens while one is written, a complete one can be loaded.
#include "checkpoint/training_checkpoint.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

CheckpointContent content_of(int64_t step) {
  return {.step = step,
          .seed = 7,
          .data_position = {{"sample", step * 10}},
          .state = {{"lr", 0.1}, {"step", step}},
          .tensors = {whole_tensor("weights/a", at::full({3, 4}, static_cast<double>(step), at::kFloat)),
                      whole_tensor("weights/b", at::full({5}, static_cast<double>(step), at::kBFloat16)), whole_tensor("count", at::full({}, step, at::kLong))},
          .files = {{"recipe.toml", "step = " + std::to_string(step)}}};
}

// The step of the latest checkpoint; everything in it must be of that step.
int64_t latest_step(const fs::path& folder) {
  const auto latest = find_latest_checkpoint(folder);
  if (!latest) return -1;
  const TrainingCheckpoint checkpoint(*latest);
  const int64_t step = checkpoint.manifest().step;
  EXPECT_TRUE(at::equal(checkpoint.tensor("weights/a"), at::full({3, 4}, static_cast<double>(step), at::kFloat)));
  EXPECT_TRUE(at::equal(checkpoint.tensor("weights/b"), at::full({5}, static_cast<double>(step), at::kBFloat16)));
  EXPECT_EQ(checkpoint.tensor("count").item<int64_t>(), step);
  EXPECT_EQ(checkpoint.manifest().state.at("step"), step);
  EXPECT_EQ(checkpoint.manifest().data_position.at("sample"), step * 10);
  EXPECT_EQ(checkpoint.file("recipe.toml"), "step = " + std::to_string(step));
  return step;
}

struct DiskHookScope {
  explicit DiskHookScope(DiskHook hook) { set_disk_hook(std::move(hook)); }
  ~DiskHookScope() { set_disk_hook({}); }
};

TEST(CheckpointWriter, WritesInTheBackgroundWhatWasThereAtTheTimeOfTheCall) {
  const test::TempFolder folder;
  CheckpointWriter writer({.folder = folder / "checkpoints"});
  CheckpointContent content = content_of(4);
  writer.save(content);
  content.tensors[0].value.fill_(99);   // training goes on
  writer.wait();
  EXPECT_EQ(latest_step(folder / "checkpoints"), 4);
  const TrainingCheckpoint checkpoint(folder / "checkpoints/step-4");
  EXPECT_EQ(checkpoint.manifest().seed, 7u);
  EXPECT_EQ(checkpoint.manifest().state.at("lr").get<double>(), 0.1);
  checkpoint.verify();
  // The pieces are ordinary safetensors.
  EXPECT_TRUE(at::equal(SafetensorsFolder(folder / "checkpoints/step-4/rank-0.safetensors").tensor("weights/a"), checkpoint.tensor("weights/a")));
}

TEST(CheckpointWriter, KeepsTheNewestAndForgetsAnAbandonedFuture) {
  const test::TempFolder folder;
  CheckpointWriter writer({.folder = folder.path(), .keep_last = 2});
  for (const int64_t step : {9, 10, 100}) writer.save(content_of(step));
  writer.wait();
  EXPECT_EQ(list_checkpoints(folder.path()), (std::vector<fs::path>{folder / "step-10", folder / "step-100"}));
  writer.save(content_of(100));   // again: replaces
  writer.wait();
  EXPECT_EQ(latest_step(folder.path()), 100);
  remove_checkpoints_after(folder.path(), 10);
  EXPECT_EQ(latest_step(folder.path()), 10);
  EXPECT_EQ(list_checkpoints(folder / "nothing").size(), 0u);
}

TEST(CheckpointWriter, AFailureAtAnyDiskOperationIsReportedAndTheOldCheckpointStays) {
  for (int64_t fail_at = 1;; ++fail_at) {
    const test::TempFolder folder(test::memory_folder());
    CheckpointWriter writer({.folder = folder.path(), .keep_last = 1});
    writer.save(content_of(1));
    writer.wait();
    int64_t n = 0;
    bool failed = false;
    {
      const DiskHookScope scope([&](std::string_view doing, const fs::path& path) {
        if (++n == fail_at) throw_system_error(doing, path, ENOSPC);
      });
      writer.save(content_of(2));
      try {
        writer.wait();
      } catch (const Error& error) {
        failed = true;
        EXPECT_EQ(error.kind(), ErrorKind::kResource);
        EXPECT_NE(std::string(error.what()).find("writing the checkpoint of step 2"), std::string::npos) << error.what();
      }
    }
    EXPECT_EQ(failed, n >= fail_at);
    const int64_t step = latest_step(folder.path());
    EXPECT_TRUE(step == 1 || step == 2) << "operation " << fail_at;
    writer.save(content_of(3));   // and the run can go on
    writer.wait();
    EXPECT_EQ(latest_step(folder.path()), 3);
    if (!failed) {
      EXPECT_GT(fail_at, 12);   // the loop went through a whole save
      break;
    }
  }
}

// The process ends without any clean-up at the Nth disk operation, N = 1, 2, 3, ...; `replace` writes the same step again.
void kill_at_every_operation(bool replace) {
  const int64_t second = replace ? 1 : 2;
  for (int64_t kill_at = 1;; ++kill_at) {
    const test::TempFolder folder(test::memory_folder());
    {
      CheckpointWriter writer({.folder = folder.path(), .keep_last = 1});
      writer.save(content_of(1));
    }
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      int64_t n = 0;
      CheckpointWriter writer({.folder = folder.path(), .keep_last = 1});
      set_disk_hook([&](std::string_view, const fs::path&) {
        if (++n == kill_at) ::_exit(9);
      });
      writer.save(content_of(second));
      writer.wait();
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    const int64_t step = latest_step(folder.path());
    EXPECT_TRUE(step == 1 || step == second) << "operation " << kill_at;
    CheckpointWriter writer({.folder = folder.path(), .keep_last = 1});   // cleans up
    for (const auto& item : fs::directory_iterator(folder.path())) EXPECT_TRUE(fs::exists(item.path() / kManifestName)) << item.path();
    EXPECT_EQ(latest_step(folder.path()), step);
    if (WEXITSTATUS(status) == 0) {
      EXPECT_GT(kill_at, 12);
      break;
    }
  }
}

TEST(CheckpointWriter, AKillAtAnyDiskOperationLeavesTheOldCheckpointOrTheNew) { kill_at_every_operation(false); }
TEST(CheckpointWriter, AKillWhileAStepIsWrittenAgainLeavesOneOfTheTwo) { kill_at_every_operation(true); }

TEST(CheckpointWriter, AnUnwritableFolderIsAResourceError) {
  const test::TempFolder folder;
  write_file_atomic(folder / "file", "");
  EXPECT_ERROR(CheckpointWriter({.folder = folder / "file/checkpoints"}), ErrorKind::kResource, "file");
}

// A [4, 6] tensor in the layout of `boxes`, one rank each.
fs::path write_layout(const fs::path& folder, const Tensor& whole, const std::vector<std::array<int64_t, 4>>& boxes) {
  fs::create_directories(folder);
  Manifest manifest = {.step = 1, .mesh = {{"world_size", boxes.size()}}, .tensors = {}, .files = {}};
  for (size_t rank = 0; rank < boxes.size(); ++rank) {
    const auto [row, column, rows, columns] = boxes[rank];
    const Tensor part = whole.narrow(0, row, rows).narrow(1, column, columns);
    const auto entries = write_rank_file(folder, static_cast<int64_t>(rank), {{.name = "w", .logical_shape = {4, 6}, .start = {row, column}, .value = part}});
    if (rank == 0) manifest.tensors = entries;
    else manifest.tensors[0].pieces.push_back(entries[0].pieces[0]);
  }
  write_file_atomic(folder / kManifestName, render_manifest(manifest));
  return folder;
}

TEST(TrainingCheckpoint, AnyLayoutOfPiecesGivesTheSameTensorAndAnyBoxOfIt) {
  const test::TempFolder folder;
  const Tensor whole = at::arange(24, at::kFloat).view({4, 6});
  const std::vector<std::vector<std::array<int64_t, 4>>> layouts = {
      {{0, 0, 4, 6}}, {{0, 0, 1, 6}, {1, 0, 3, 6}}, {{0, 0, 4, 1}, {0, 1, 4, 5}}, {{0, 0, 2, 3}, {0, 3, 2, 3}, {2, 0, 2, 4}, {2, 4, 2, 2}, {4, 0, 0, 6}}};
  for (size_t i = 0; i < layouts.size(); ++i) {
    const TrainingCheckpoint checkpoint(write_layout(folder / std::to_string(i), whole, layouts[i]));
    EXPECT_TRUE(at::equal(checkpoint.tensor("w"), whole));
    for (int64_t row = 0; row < 4; ++row)
      for (int64_t column = 0; column < 6; ++column)
        EXPECT_TRUE(at::equal(checkpoint.tensor_box("w", {row, column}, {4 - row, 6 - column}), whole.narrow(0, row, 4 - row).narrow(1, column, 6 - column)));
  }
}

TEST(TrainingCheckpoint, DamageIsFoundAndNamed) {
  const test::TempFolder folder;
  CheckpointWriter writer({.folder = folder.path()});
  writer.save(content_of(1));
  writer.wait();
  const fs::path step = folder / "step-1", data = step / "rank-0.safetensors", manifest = step / kManifestName;
  const std::string good_data = read_file(data), good_manifest = read_file(manifest);

  std::string bad = good_data;
  bad.back() = static_cast<char>(bad.back() ^ 1);   // in the last tensor, weights/b
  write_file_atomic(data, bad);
  const TrainingCheckpoint damaged(step);
  EXPECT_ERROR(damaged.tensor("weights/b"), ErrorKind::kCheckpoint, "weights/b do not have the digest");
  EXPECT_ERROR(damaged.verify(), ErrorKind::kCheckpoint, "rank-0.safetensors");
  EXPECT_NO_THROW(damaged.tensor("weights/a"));
  write_file_atomic(data, good_data.substr(0, good_data.size() - 1));
  EXPECT_ERROR(TrainingCheckpoint{step}, ErrorKind::kCheckpoint, "before weights/b does");
  fs::remove(data);
  EXPECT_ERROR(TrainingCheckpoint{step}, ErrorKind::kCheckpoint, "rank-0.safetensors is missing");
  write_file_atomic(data, good_data);

  write_file_atomic(step / "recipe.toml", "step = 2");
  EXPECT_ERROR(TrainingCheckpoint(step).file("recipe.toml"), ErrorKind::kCheckpoint, "recipe.toml does not have the digest");

  // Any one changed character of the manifest, and every truncation.
  for (size_t n = 0; n + 2 < good_manifest.size(); n += 7) {
    std::string text = good_manifest;
    text[n] = text[n] == '5' ? '6' : '5';
    EXPECT_ERROR(parse_manifest(text, "manifest.json"), ErrorKind::kCheckpoint, "manifest.json");
    EXPECT_ERROR(parse_manifest(good_manifest.substr(0, n), "manifest.json"), ErrorKind::kCheckpoint, "manifest.json");
  }
  fs::remove(manifest);
  EXPECT_ERROR(TrainingCheckpoint{step}, ErrorKind::kCheckpoint, "no complete checkpoint");
  EXPECT_FALSE(find_latest_checkpoint(folder.path()));
}

TEST(TrainingCheckpoint, AnotherModelOrOptimizerIsAnErrorWithTheShapes) {
  const test::TempFolder folder;
  CheckpointWriter writer({.folder = folder.path()});
  writer.save(content_of(1));
  writer.wait();
  const TrainingCheckpoint checkpoint(folder / "step-1");
  EXPECT_ERROR(checkpoint.load_into("weights/a", at::zeros({4, 4})), ErrorKind::kCheckpoint, "weights/a is F32 [3, 4] in the checkpoint, needed is float32 [4, 4]");
  EXPECT_ERROR(checkpoint.tensor("muon/a"), ErrorKind::kCheckpoint, "muon/a is not in this checkpoint");
}

Manifest small_manifest(std::vector<ManifestPiece> pieces) {
  return {.step = 1, .tensors = {{.name = "w", .shape = {4}, .pieces = std::move(pieces)}}, .files = {}};
}

TEST(Manifest, PiecesMustCoverTheTensorOnce) {
  const auto piece = [](int64_t start, int64_t size) { return ManifestPiece{.file = "f", .start = {start}, .shape = {size}, .bytes = static_cast<uint64_t>(size) * 4}; };
  const auto parse = [](const Manifest& manifest) { return parse_manifest(render_manifest(manifest), "m"); };
  EXPECT_NO_THROW(parse(small_manifest({piece(0, 1), piece(1, 3)})));
  EXPECT_ERROR(parse(small_manifest({piece(0, 1), piece(2, 2)})), ErrorKind::kCheckpoint, "hold 3 of 4 elements");
  EXPECT_ERROR(parse(small_manifest({piece(0, 2), piece(1, 2)})), ErrorKind::kCheckpoint, "overlap");
  EXPECT_ERROR(parse(small_manifest({piece(1, 4)})), ErrorKind::kCheckpoint, "outside of its shape [4]");
  ManifestPiece elsewhere = piece(0, 4);
  elsewhere.file = "../f";
  EXPECT_ERROR(parse(small_manifest({elsewhere})), ErrorKind::kCheckpoint, "not a file of the checkpoint's folder");
}

TEST(Manifest, AVersionOfTheFutureSaysSo) {
  std::string text = render_manifest(small_manifest({}));
  text.replace(text.find("\"version\": 1"), 12, "\"version\": 2");
  EXPECT_ERROR(parse_manifest(text, "m"), ErrorKind::kCheckpoint, "format version 2, this program reads version 1");
}

}  // namespace
}  // namespace temper
