#pragma once
// Weights of a model folder: any of the spellings of tensor_names.h, plain or in blocks, one file or shards.

#include "checkpoint/stored_weight.h"
#include "checkpoint/weight_source.h"

namespace temper {

class ModelFolderSource : public WeightSource {
 public:
  /// With Contents::kAtLeastHeaders names, dtypes and shapes are checked, and values may be missing.
  explicit ModelFolderSource(const fs::path& folder, Contents contents = Contents::kWhole);

  at::ScalarType exact_dtype(const TensorRow& row) const override { return place(row).exact_dtype(row); }
  Encoding encoding(const TensorRow& row) const override { return place(row).encoding; }
  Tensor read_rows(const TensorRow& row, int64_t begin, int64_t end) const override { return place(row).read_rows(row, begin, end); }
  void release_rows(const TensorRow& row, int64_t begin, int64_t end) const override { place(row).release_rows(row, begin, end); }
  Json config_json() const override;
  std::vector<std::string> companions() const override;
  std::string companion(const std::string& name) const override;
  std::vector<std::string> not_carried() const override;
  const SafetensorsFolder& files() const { return files_; }
  const Release& release() const { return release_; }

 private:
  void collect();
  void add_fused(const std::string& stored, const std::string& prefix, bool gate_up);
  void add_whole(const std::string& stored, const std::string& name);
  std::vector<std::string> attach_scales();
  void drop_vocabulary_copies();
  void check_width() const;
  void recognise_all(std::vector<std::string> unknown);
  void settle_storage();
  void note_narrow_tensors();
  void note(std::string text, bool warn);
  const StoredWeight& place(const TensorRow& row) const { return places_.at(row.name); }
  fs::path folder() const { return fs::is_directory(path_) ? path_ : path_.parent_path(); }

  SafetensorsFolder files_;
  Release release_;
  std::unordered_map<std::string, StoredWeight> places_;
  std::unordered_map<std::string, SafetensorsFolder::Entry> scales_, factors_;   // by the weight's released name
};

/// The release in a model folder, by config.json and headers; no value is read.  Errors: recognise_release's.
Release release_in(const fs::path& folder);

}  // namespace temper
