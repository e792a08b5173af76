#pragma once
// Checkpoints to resume from: `checkpoints/step-N/` with manifest.json, rank-R.safetensors and small files.
// (Weights for others are exports, checkpoint/export.h.)
//
//   CheckpointWriter writer({.folder = run / "checkpoints", .keep_last = 3});
//   writer.save({.step = 100, .seed = 1, .data_position = loader.position(), .state = {{"lr_scale", 1.0}},
//                .tensors = {whole_tensor("weights/embed.weight", master), whole_tensor("adamw_m/embed.weight", m)},
//                .files = {{"recipe.toml", text}, {"config.json", config}}});
//   ...                                  // training goes on while it is written
//   writer.wait();                       // throws what went wrong in the background
//
//   if (auto latest = find_latest_checkpoint(run / "checkpoints")) {
//     TrainingCheckpoint checkpoint(*latest);
//     checkpoint.load_into("weights/embed.weight", master);
//   }

#include <array>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>

#include "checkpoint/companions.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors.h"

namespace temper {

/// Master weights are stored as this prefix + released tensor name: `temper export --from step-N` looks for it.
inline constexpr std::string_view kWeightPrefix = "weights/";

/// What this rank holds of a logical tensor: the box at `start` (all of it: whole_tensor()).
struct CheckpointTensor {
  std::string name;
  std::vector<int64_t> logical_shape, start;
  Tensor value;
};
CheckpointTensor whole_tensor(std::string name, const Tensor& value);

/// One state of a run.  Everything is copied by save(); the caller may go on changing it.
struct CheckpointContent {
  int64_t step = 0;
  uint64_t seed = 0;
  Json mesh = {{"world_size", 1}};
  Json data_position = Json::object(), state = Json::object();   // numbers come back exactly; NaN and infinity do not
  Json carried = Json::array();                                   // as Manifest::carried
  std::vector<CheckpointTensor> tensors;
  NamedFiles files;
};

/// Writes checkpoints in the background, one at a time.  Methods from one thread.
class CheckpointWriter {
 public:
  struct Options {
    fs::path folder;          // the run's checkpoints/; made if missing
    int64_t keep_last = 0;    // complete checkpoints to keep; 0 = all
  };
  /// Error{kResource} if the folder cannot be written.  Removes what killed runs left unfinished.
  explicit CheckpointWriter(Options options);
  ~CheckpointWriter();   // waits; an error nobody asked for is logged
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Waits for the one before (and throws its error), copies `content` to host memory and returns; the files are written,
  /// flushed and renamed by a thread.  An existing step-N is replaced only when the new one is complete.
  void save(const CheckpointContent& content);
  /// Returns when nothing is under way; throws what the thread threw.  A full disk is kResource, and the checkpoints
  /// before it are untouched.
  void wait();
  bool busy() const { return busy_.load(); }
  double last_copy_seconds() const { return last_copy_seconds_; }     // how long save() held up the caller
  double last_write_seconds() const { return last_write_seconds_; }   // valid after wait()

 private:
  void write(CheckpointContent content);
  template <class Body> void start_thread(Body body);

  Options options_;
  std::thread thread_;
  std::exception_ptr error_;
  std::atomic<bool> busy_{false};
  double last_copy_seconds_ = 0, last_write_seconds_ = 0;
};

/// An open checkpoint.  Const methods from any thread.
class TrainingCheckpoint {
 public:
  /// Error{kCheckpoint}: no manifest, or one that is damaged, or files that are missing or of another size.
  explicit TrainingCheckpoint(const fs::path& folder);

  const Manifest& manifest() const { return manifest_; }
  const fs::path& folder() const { return folder_; }
  const ManifestTensor* find(const std::string& name) const;

  /// The whole logical tensor, whatever the pieces.  Digests are checked; Error{kCheckpoint} names tensor and file.
  Tensor tensor(const std::string& name) const;
  /// A box of it: what a rank of another mesh needs.
  Tensor tensor_box(const std::string& name, at::IntArrayRef start, at::IntArrayRef shape) const;
  /// Copies into an existing tensor of the same shape (dtype must be the same too).
  void load_into(const std::string& name, const Tensor& into) const;
  /// A small file (recipe.toml, config.json); digest checked.
  std::string file(const std::string& name) const;
  bool has_file(const std::string& name) const;
  /// Reads everything and checks every digest.
  void verify() const;

 private:
  const ManifestTensor& entry(const std::string& name) const;
  std::span<const std::byte> piece_bytes(const ManifestTensor& tensor, const ManifestPiece& piece) const;

  fs::path folder_;
  Manifest manifest_;
  std::unordered_map<std::string, size_t> index_;
  std::unordered_map<std::string, std::unique_ptr<MappedFile>> maps_;
  mutable std::mutex mutex_;
  mutable std::unordered_set<const ManifestPiece*> checked_;   // whose digests were right: each is computed once
};

/// Complete checkpoints of a folder, by step, the newest last.  A missing folder has none.
std::vector<fs::path> list_checkpoints(const fs::path& folder);
std::optional<fs::path> find_latest_checkpoint(const fs::path& folder);
/// After a roll-back: the checkpoints of the future that was given up.
void remove_checkpoints_after(const fs::path& folder, int64_t step);
/// Removes unfinished and half-deleted checkpoints (of runs that were killed).  Returns their number.
int64_t clean_unfinished_checkpoints(const fs::path& folder);

/// Writes rank-R.safetensors into `folder` and returns the manifest entries of its pieces.
std::vector<ManifestTensor> write_rank_file(const fs::path& folder, int64_t rank, const std::vector<CheckpointTensor>& tensors);

}  // namespace temper
