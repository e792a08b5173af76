#pragma once
// Weights of a model folder: any of the four spellings (tensor_names.h), plain or FP8 or FP4, one file or shards.

#include "checkpoint/weight_source.h"

namespace temper {

class ModelFolderSource : public WeightSource {
 public:
  explicit ModelFolderSource(const fs::path& folder);

  at::ScalarType exact_dtype(const TensorRow& row) const override;
  Tensor read_rows(const TensorRow& row, int64_t begin, int64_t end) const override;
  void release_rows(const TensorRow& row, int64_t begin, int64_t end) const override;
  Json config_json() const override;
  std::vector<std::string> companions() const override;
  std::string companion(const std::string& name) const override;
  std::vector<std::string> not_carried() const override;
  const SafetensorsFolder& files() const { return files_; }

 private:
  /// A released tensor in the files.
  struct Place {
    SafetensorsFolder::Entry weight{};
    std::optional<SafetensorsFolder::Entry> scale;
    Encoding encoding = Encoding::kPlain;
    int64_t expert = -1, first_row = 0;   // inside a fused tensor
  };

  void collect();
  void add_fused(const std::string& stored, const std::string& prefix, bool gate_up);
  void add_whole(const std::string& stored, const std::string& name);
  void check(const TensorRow& row);
  const Place& place(const TensorRow& row) const;
  fs::path folder() const { return fs::is_directory(path_) ? path_ : path_.parent_path(); }

  SafetensorsFolder files_;
  std::unordered_map<std::string, Place> places_;
  std::unordered_map<std::string, SafetensorsFolder::Entry> scales_;   // by the weight's released name
};

}  // namespace temper
