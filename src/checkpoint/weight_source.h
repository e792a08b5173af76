#pragma once
// Where a model's weights come from: a model folder in any spelling and storage format, or a training checkpoint.
// Every released tensor can be read in parts of some rows, so that no more than a part is in memory.

#include <functional>
#include <memory>

#include "checkpoint/drafter.h"
#include "checkpoint/safetensors.h"
#include "model/deepseek_v4/tensor_map.h"

namespace temper {

class TrainingCheckpoint;

/// Const methods from any thread.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  const ModelConfig& config() const { return config_; }
  /// The tensors that are there, in tensor-map order: all of the model, without MTP if mtp_missing().
  const std::vector<TensorRow>& rows() const { return rows_; }
  /// The config has MTP layers but the files have none of their tensors, as in checkpoints of transformers.
  bool mtp_missing() const { return mtp_missing_; }
  /// A part that is not in rows(): carried, not computed.
  const std::optional<CarriedDrafter>& carried_drafter() const { return carried_drafter_; }
  const fs::path& path() const { return path_; }
  /// What a reader should know about how the model is stored, one sentence each; logged when it was opened.
  const std::vector<std::string>& notes() const { return notes_; }

  /// The smallest dtype that holds the stored values exactly: bf16 for block encodings whose scales are powers of two.
  virtual at::ScalarType exact_dtype(const TensorRow& row) const = 0;
  /// How the tensor is stored here.
  virtual Encoding encoding(const TensorRow& row) const = 0;
  /// Rows [begin, end) of the tensor (of a vector: elements).  Block formats come dequantised in fp32, everything else in
  /// its stored dtype, perhaps as a view of the file.
  /// REQUIRES begin a multiple of 128.  Errors  kCheckpoint naming tensor and file, e.g. for NaN scales.
  virtual Tensor read_rows(const TensorRow& row, int64_t begin, int64_t end) const = 0;
  /// These rows' pages leave memory.
  virtual void release_rows(const TensorRow& row, int64_t begin, int64_t end) const = 0;
  /// The config.json these weights came with: it may say more than config() reads.
  virtual Json config_json() const = 0;
  /// Names of the small files that go with the weights (companions.h), and the content of one.
  virtual std::vector<std::string> companions() const = 0;
  virtual std::string companion(const std::string& name) const = 0;
  /// What is here and does not go into an export.
  virtual std::vector<std::string> not_carried() const = 0;

  /// Calls body(begin, rows) for parts of about 16 MB (in fp32), releasing each after it.  Expert ids are checked (ops/expert_ids.h).
  void for_each_part(const TensorRow& row, const std::function<void(int64_t begin, const Tensor& rows)>& body) const;

 protected:
  WeightSource() = default;
  WeightSource(fs::path path, ModelConfig config) : config_(std::move(config)), path_(std::move(path)) {}

  ModelConfig config_;
  std::vector<TensorRow> rows_;
  bool mtp_missing_ = false;
  std::optional<CarriedDrafter> carried_drafter_;
  fs::path path_;
  std::vector<std::string> notes_;
};

/// Reads everything; the names of tensors with infinities or NaN.
std::vector<std::string> tensors_that_are_not_finite(const WeightSource& source);

/// The same for all tensors of a training checkpoint, the optimizer's too; checks every digest.
std::vector<std::string> tensors_that_are_not_finite(const TrainingCheckpoint& checkpoint);

/// Opens a model folder (config.json and safetensors), a training checkpoint `step-N`, or the latest checkpoint of a run
/// folder.  Checks every name, shape and
/// dtype; nothing is read yet.
/// Errors  kConfig for the config; kCheckpoint: unknown or missing tensors (named), wrong shapes, damaged files
std::unique_ptr<WeightSource> open_weights(const fs::path& path);

}  // namespace temper
