#pragma once
// The model as the trainer sees it: losses of micro-batches with their gradients, and weights that follow the masters.

#include <vector>

#include "model/deepseek_v4/model.h"
#include "objective/sft.h"
#include "train/qat.h"

namespace temper {

/// Which losses are trained, with which weight (0 = not computed), and how the model computes.
struct StepModelConfig {
  double mtp_weight = 0, balance_weight = 0, indexer_weight = 0;
  RecomputePolicies recompute = {};
  QatConfig qat;
};

/// What the losses of a whole step are divided by.
struct LossCounts {
  double lm = 0;             // sum of the weights of trained targets
  std::vector<double> mtp;   // the same for what each MTP block predicts
  double tokens = 0;         // of the balance loss
  double queries = 0;        // that see a compressed entry, in one layer with an indexer
};

/// Sums over micro-batches, added in their order.
struct LossSums {
  double lm = 0, balance = 0, indexer = 0;
  std::vector<double> mtp;
  int64_t n_balance_tokens = 0, n_indexer_queries = 0;   // over all layers
  std::vector<Tensor> expert_tokens;                     // of each block, MTP last: [E] int64
  void add(const LossSums& other);
};

/// Means over the step.
///   balance   over tokens and layers; 1 = balanced     indexer   over queries and layers
///   total     what is minimised: lm + mtp_weight * mtp + the balance and indexer losses, each summed over layers, by weight
struct LossMeans {
  double lm = 0, mtp = 0, balance = 0, indexer = 0, total = 0;
};

/// Computes with `weights`; keeps a reference to them.  Methods from one thread.
class StepModel {
 public:
  StepModel(ModelWeights& weights, const StepModelConfig& config);

  /// What a whole step is divided by; known before its first forward pass.
  LossCounts count(const std::vector<Batch>& micro_batches) const;
  LossMeans means(const LossSums& sums, const LossCounts& counts) const;

  /// Around the micro-batches of a step (ModelWeights::begin_gradients, finish_gradients).
  void begin_gradients() { weights_.begin_gradients(); }
  void finish_gradients() { weights_.finish_gradients(); }
  /// Adds the gradients of this micro-batch's share of the step's loss to the weights' gradients.
  LossSums forward_backward(const Batch& batch, const LossCounts& counts) const;
  /// The language-model loss alone, summed over weighted targets; nothing is kept.
  double forward(const Batch& batch) const;
  /// The sign rule on every learned router that ran.
  void update_router_biases(const LossSums& sums, double speed);
  /// Compute weights from masters: rounded to the compute dtype, or as the official layout stores them.
  void refresh();

  const Model& model() const { return model_; }

 private:
  int64_t vocab_size() const { return weights_.config().vocab_size; }
  int64_t n_trained_mtp() const { return config_.mtp_weight > 0 ? weights_.config().n_mtp_layers : 0; }

  ModelWeights& weights_;
  StepModelConfig config_;
  Model model_;
};

/// Of each block: tokens of its busiest expert over the mean of all experts.
std::vector<double> load_ratios(const LossSums& sums);

}  // namespace temper
