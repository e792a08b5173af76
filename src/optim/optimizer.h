#pragma once
// Which update each parameter gets, its state, and one step of all of them.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/deepseek_v4/weights.h"
#include "optim/adamw.h"
#include "optim/muon.h"

namespace temper {

struct OptimizerConfig {
  std::string kind = "muon";
  double clip_norm = 1.0;
  std::vector<std::string> frozen;
  AdamWConfig adamw;
  MuonConfig muon;

  template <class Visitor> void visit(Visitor& v) {
    v("kind", kind, "muon = the V4 recipe: Muon for matrices, AdamW for embeddings, head and vectors; adamw = AdamW for all", one_of({"muon", "adamw"}));
    v("clip_norm", clip_norm, "largest norm of the gradient, of the indexers apart from the rest; 0 = no clipping", between(0.0, 1e12));
    v("frozen", frozen, "parameter classes that are not trained, e.g. [\"embedding\", \"routers\"] (names: temper inspect)");
    v("adamw", adamw, "AdamW's settings");
    v("muon", muon, "Muon's settings");
  }
};

/// What else decides whether a parameter is trained: without its loss a part would still be moved by decay and momentum.
struct TrainedParts {
  bool mtp = true, indexer = true;
};

/// A test for ModelWeights::enable_gradients: true for rows that the recipe does not train.
/// Error{kConfig} for a name in `frozen` that is no parameter class.
std::function<bool(const TensorRow&)> frozen_rows(const OptimizerConfig& config, const TrainedParts& parts);

/// Norms of the summed gradient.
///   trunk, indexer   everything but the indexers, and the indexers: they are clipped apart, since the indexers' own loss
///                    must not change the step of the rest (docs/deepseek_v4.md, "Optimizer")
struct GradientNorms {
  double trunk = 0, indexer = 0;
  std::map<std::string, double> by_class;   // parameter_class_name -> norm
  bool finite() const;
};

/// Updates every parameter of `weights` that has a gradient.  Methods from one thread.
class Optimizer {
 public:
  /// `compute_dtype` decides the precision of Muon's products where the config says auto.  Keeps a reference to `weights`.
  Optimizer(ModelWeights& weights, const OptimizerConfig& config, at::ScalarType compute_dtype);

  GradientNorms gradient_norms() const;
  /// Clips, then updates the masters, and with them the compute copies unless these differ in more than their dtype
  /// (WeightsOptions::separate_compute): then they are the caller's business (ModelWeights::refresh_compute).
  /// REQUIRES finite norms.
  void step(double lr, const GradientNorms& norms);

  bool keeps_copies() const { return keeps_copies_; }

  /// Steps done; decides AdamW's bias correction, so it belongs to a checkpoint, with every tensor of `states()`.
  int64_t n_steps() const { return n_steps_; }
  void set_n_steps(int64_t n) { n_steps_ = n; }
  /// "muon_momentum/<released name>", "adamw_mean/...", "adamw_square/...", in tensor-map order.
  std::vector<std::pair<std::string, Tensor>> states() const;
  int64_t state_bytes() const;

 private:
  struct Slot {
    TensorRow row;
    Tensor w, g;
    Tensor copy;          // w in the compute dtype; undefined where it is w itself, or not ours to keep
    Tensor m, v;          // momentum or mean; mean of squares (AdamW only)
    bool muon() const { return !v.defined(); }
    bool indexer() const { return row.parameter == ParameterClass::kIndexer; }
  };
  struct MatrixRef {
    size_t slot;
    int64_t first_row, n_rows;   // in the slot's matrix
  };
  void add_matrices(size_t slot);
  void muon_all(double lr, const GradientNorms& norms);
  void adamw_all(double lr, const GradientNorms& norms);
  double clip(const Slot& slot, const GradientNorms& norms) const;

  OptimizerConfig config_;
  at::ScalarType muon_dtype_;
  bool keeps_copies_;
  std::vector<Slot> slots_;
  std::vector<MatrixRef> muon_matrices_;
  int64_t n_steps_ = 0;
};

}  // namespace temper
