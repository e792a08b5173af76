#pragma once
// One row of plain data for each tensor of the released checkpoint.  Loading, saving, quantisation, optimizer groups,
// the memory plan and the docs read these rows; nothing else knows tensor names.

#include <optional>
#include <string>
#include <vector>

#include "model/deepseek_v4/config.h"

namespace temper {

/// What updates it (report 2.4): AdamW for kEmbedding and kVector, Muon for kMatrix, the sign rule for kRouterBias.
enum class OptimizerClass { kEmbedding, kVector, kMatrix, kRouterBias, kConstant };

/// Rows of the parameter table (spec 1.4).
enum class ParameterClass {
  kEmbedding, kHead, kFinal, kAttention, kCompressor, kIndexer, kRoutedExpert, kSharedExpert, kRouter, kHyperConnection, kNorm, kMtpProjection
};
const char* parameter_class_name(ParameterClass c);

struct TensorRow {
  std::string name;                  // released name, "layers.3.attn.wq_a.weight"
  std::vector<int64_t> shape;        // logical, unpacked
  StoredDtype dtype;                 // of its elements or codes in the files
  Encoding encoding = Encoding::kPlain;
  OptimizerClass optimizer;
  ParameterClass parameter;
  int64_t layer = -1;                // n_layers + i for MTP layer i; -1 = of no layer
  int64_t expert = -1;               // routed expert, -1 = none
  std::vector<int64_t> row_groups;   // rows of each independent matrix inside (Muon takes them apart); empty = one

  int64_t numel() const;
  bool holds_ids() const { return dtype == StoredDtype::kI64; }   // tid2eid, a constant table
  bool trainable() const { return optimizer != OptimizerClass::kConstant && optimizer != OptimizerClass::kRouterBias; }
  /// "layers.3.attn.wq_a.scale" for block encodings, else nothing.
  std::optional<std::string> scale_name() const;
  std::vector<int64_t> scale_shape() const;
  /// Shape in the file: FP4 packs two columns into a byte.
  std::vector<int64_t> stored_shape() const;
};

/// All tensors of a model, in the order of the forward pass, MTP last.
std::vector<TensorRow> tensor_map(const ModelConfig& config);

/// Weights and scales as files hold them, in the rows' order; offsets are not set.
std::vector<StoredTensor> stored_tensors(const std::vector<TensorRow>& rows, StoredDtype scale_dtype);
/// Those of the official layout of a config.
std::vector<StoredTensor> stored_tensors(const ModelConfig& config);

}  // namespace temper
