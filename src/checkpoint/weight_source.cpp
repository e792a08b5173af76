#include "checkpoint/weight_source.h"

#include <ATen/ops/all.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/interrupt.h"
#include "checkpoint/companions.h"
#include "checkpoint/model_folder_source.h"
#include "checkpoint/training_checkpoint.h"
#include "ops/expert_ids.h"

namespace temper {
namespace {

constexpr int64_t kRowBlock = 128;   // parts begin where blocks of FP8 begin

// The master weights of a training checkpoint.
class TrainingCheckpointSource : public WeightSource {
 public:
  explicit TrainingCheckpointSource(const fs::path& folder) : checkpoint_(folder) {
    path_ = folder;
    config_ = parse_model_config(parse_json(checkpoint_.file("config.json"), (folder / "config.json").string(), ErrorKind::kCheckpoint), (folder / "config.json").string());
    for (const Json& part : checkpoint_.manifest().carried) {
      const DrafterRecord record = drafter_record_from_json(part, (folder / kManifestName).string());
      carried_drafter_ = CarriedDrafter{.folder = record.folder, .record = record};
    }
    std::unordered_set<std::string> known;
    std::string missing_mtp;
    bool any_mtp = false;
    for (TensorRow& row : tensor_map(config_)) {
      const bool mtp = row.layer >= config_.n_layers;
      known.insert(stored_name(row));
      if (const ManifestTensor* stored = checkpoint_.find(stored_name(row))) {
        check(row, *stored);
        any_mtp = any_mtp || mtp;
        rows_.push_back(std::move(row));
      } else if (!mtp) {
        fail(stored_name(row) + " is missing");
      } else if (missing_mtp.empty()) {
        missing_mtp = stored_name(row);
      }
    }
    if (any_mtp && !missing_mtp.empty()) fail(missing_mtp + " is missing");
    mtp_missing_ = !missing_mtp.empty();
    for (const ManifestTensor& stored : checkpoint_.manifest().tensors)
      if (stored.name.starts_with(kWeightPrefix) && !known.contains(stored.name)) fail(stored.name + " belongs to no tensor of the model in config.json");
  }

  at::ScalarType exact_dtype(const TensorRow& row) const override { return scalar_type_of(checkpoint_.find(stored_name(row))->dtype); }
  Encoding encoding(const TensorRow&) const override { return Encoding::kPlain; }
  Tensor read_rows(const TensorRow& row, int64_t begin, int64_t end) const override {
    std::vector<int64_t> start(row.shape.size(), 0), shape = row.shape;
    start[0] = begin;
    shape[0] = end - begin;
    return checkpoint_.tensor_box(stored_name(row), start, shape);
  }
  void release_rows(const TensorRow&, int64_t, int64_t) const override {}
  Json config_json() const override { return parse_json(checkpoint_.file("config.json"), (path_ / "config.json").string(), ErrorKind::kCheckpoint); }
  std::vector<std::string> companions() const override {
    std::vector<std::string> names;
    for (const ManifestFile& file : checkpoint_.manifest().files)
      if (is_companion(file.name)) names.push_back(file.name);
    return names;
  }
  std::string companion(const std::string& name) const override { return checkpoint_.file(name); }
  std::vector<std::string> not_carried() const override {
    std::vector<std::string> names = {"the optimizer's state", "the position in the data"};
    for (const ManifestFile& file : checkpoint_.manifest().files)
      if (file.name != "config.json" && !is_companion(file.name)) names.push_back(file.name);
    return names;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error({.kind = ErrorKind::kCheckpoint, .what = what, .where = path_.string(), .fix = "the manifest and config.json of this checkpoint do not belong together: use an earlier checkpoint"});
  }
  // Masters are F32, or F64 in runs in double precision; tables of ids are I64.
  void check(const TensorRow& row, const ManifestTensor& stored) const {
    const bool right = row.holds_ids() ? stored.dtype == StoredDtype::kI64 : stored.dtype == StoredDtype::kF32 || stored.dtype == StoredDtype::kF64;
    if (right && stored.shape == row.shape) return;
    fail(fmt::format("{} is {} {}, the model needs {} {}", stored.name, stored_dtype_name(stored.dtype), shape_text(stored.shape), row.holds_ids() ? "I64" : "F32", shape_text(row.shape)));
  }
  static std::string stored_name(const TensorRow& row) { return std::string(kWeightPrefix) + row.name; }
  TrainingCheckpoint checkpoint_;
};

}  // namespace

void WeightSource::for_each_part(const TensorRow& row, const std::function<void(int64_t begin, const Tensor& rows)>& body) const {
  const int64_t n_rows = row.shape[0], row_bytes = std::max<int64_t>(1, row.numel() / std::max<int64_t>(1, n_rows)) * 4;
  const int64_t step = std::max<int64_t>(1, kPartBytes / row_bytes / kRowBlock) * kRowBlock;
  for (int64_t begin = 0; begin < n_rows; begin += step) {
    const int64_t end = std::min(n_rows, begin + step);
    const Tensor rows = read_rows(row, begin, end);
    if (row.holds_ids()) check_expert_ids(rows, config_.n_routed_experts, {.name = row.name, .file = path_.string(), .first_token = begin});
    body(begin, rows);
    release_rows(row, begin, end);
  }
}

std::vector<std::string> tensors_that_are_not_finite(const WeightSource& source) {
  std::vector<std::string> names;
  for (const TensorRow& row : source.rows()) {
    check_interrupt();
    bool finite = true;
    source.for_each_part(row, [&](int64_t, const Tensor& part) { finite = finite && at::isfinite(part).all().item<bool>(); });
    if (!finite) names.push_back(row.name);
  }
  return names;
}

std::vector<std::string> tensors_that_are_not_finite(const TrainingCheckpoint& checkpoint) {
  std::vector<std::string> names;
  for (const ManifestTensor& tensor : checkpoint.manifest().tensors) {
    check_interrupt();
    const Tensor value = checkpoint.tensor(tensor.name);
    if (value.is_floating_point() && !at::isfinite(value).all().item<bool>()) names.push_back(tensor.name);
  }
  return names;
}

std::unique_ptr<WeightSource> open_weights(const fs::path& path) {
  if (fs::exists(path / kManifestName)) return std::make_unique<TrainingCheckpointSource>(path);
  if (const auto latest = find_latest_checkpoint(path / "checkpoints")) return std::make_unique<TrainingCheckpointSource>(*latest);
  return std::make_unique<ModelFolderSource>(path);
}

}  // namespace temper
