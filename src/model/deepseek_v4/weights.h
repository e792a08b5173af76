#pragma once
// The weights of one model: fp32 masters, the copies that are computed with, gradients.
//
// Storage differs from the released names in one way: all routed experts of a layer lie in two tensors,
// ffn.experts.w13 [E, 2F, D] (w1 rows first) and ffn.experts.w2 [E, D, F], and a shared expert's w1 and w3 in
// ffn.shared_experts.w13 [2F, D], so that one grouped GEMM reads them.  `parameters()` shows the released tensors as
// views into the storages: optimizer, checkpoint and probe work on those.

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/deepseek_v4/tensor_map.h"
#include "tensor/weight.h"

namespace temper {

struct WeightsOptions {
  at::ScalarType compute_dtype = at::kFloat;   // bf16, fp32 or fp64
  at::DeviceType device = at::kCPU;            // kMeta: shapes only
  bool mtp = true;                             // false: MTP blocks are not built
  /// Compute copies even where the compute dtype is the master's: needed when they differ in value (quantisation-aware).
  bool separate_compute = false;
};

/// One released tensor as views into its storage.
struct Parameter {
  TensorRow row;
  Tensor master;    // fp32 (fp64 in fp64 runs; int64 for tid2eid)
  Tensor compute;   // what forward passes read
  Tensor grad;      // undefined without gradients, or where the row is not trainable
};

/// Threads: reading from any thread; everything else from one.
class ModelWeights {
 public:
  ModelWeights(const ModelConfig& config, const WeightsOptions& options);

  const ModelConfig& config() const { return config_; }
  const WeightsOptions& options() const { return options_; }

  /// A storage by name: a released name without ".weight" ("layers.3.attn.wq_a", "layers.3.attn.attn_sink"), or one of
  /// the fused ones ("layers.3.ffn.experts.w13").  Error{kInternal} for an unknown name.
  const Weight& weight(const std::string& storage_name) const;
  void for_each_storage(const std::function<void(const std::string& name, const Weight& weight)>& body) const;
  bool has(const std::string& storage_name) const { return index_.count(storage_name) > 0; }

  /// Released tensors in tensor-map order.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const Parameter& parameter(const std::string& released_name) const;

  /// Zero gradients for every trainable storage, allocated on first use.  `frozen` names parameters that get none;
  /// a storage is frozen only as a whole.
  void enable_gradients(const std::function<bool(const TensorRow&)>& frozen = nullptr);
  void zero_gradients();
  /// A step begins: what the gradients hold is of no use any more, and the first gradient of each weight overwrites it (tensor/weight.h).
  void begin_gradients();
  /// A step's last backward pass is done: gradients that none reached become zero.  Before this they must not be read.
  void finish_gradients();

  /// Copies masters into the compute copies.  `transform` (may be empty) gives the value to compute with, e.g. its
  /// quantised form; it is applied to each released tensor alone.
  void refresh_compute(const std::function<Tensor(const TensorRow&, const Tensor& master)>& transform = nullptr);

 private:
  struct Storage {
    std::string name;
    Tensor master;
    Weight weight;
    bool trainable;
  };
  struct View;   // where a released tensor lies in a storage
  void add_storage(const std::string& name, const Shape& shape, const TensorRow& row);
  void add_row(const TensorRow& row);
  Tensor view_of(const Tensor& storage, const View& view) const;
  void rebuild_views();
  at::ScalarType compute_dtype_of(const TensorRow& row) const;

  ModelConfig config_;
  WeightsOptions options_;
  std::vector<Storage> storages_;
  std::unordered_map<std::string, size_t> index_;             // storage name -> storages_
  struct View {
    size_t storage;
    int64_t expert = -1;                                      // first dim, -1 = the storage has none
    int64_t first_row = 0, n_rows = -1;                       // -1 = all rows
  };
  std::vector<View> views_;                                   // of parameters_, in order
  std::vector<Parameter> parameters_;
  std::unordered_map<std::string, size_t> parameter_index_;
};

}  // namespace temper
