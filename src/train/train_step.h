#pragma once
// One optimizer step: the page to read first.

#include <optional>
#include <string>
#include <vector>

#include "data/data_loader.h"
#include "optim/optimizer.h"
#include "train/recovery.h"
#include "train/step_model.h"

namespace temper {

/// What a step found.  Losses are means over the step: the language-model loss over the trained tokens, the MTP loss over the
/// positions that have a second next token, the balance loss over tokens (1 = balanced), the indexers' over queries.
struct StepResult {
  double loss = 0;      // of everything that is trained, with its weights
  double lm_loss = 0, mtp_loss = 0, balance_loss = 0, indexer_loss = 0;
  GradientNorms norms;
  std::vector<double> load_ratio;          // of each MoE layer: tokens of its busiest expert over the mean
  std::optional<std::string> skipped;      // why no weight changed
  double forward_backward_seconds = 0, update_seconds = 0;
};

/// Forward and backward over the micro-batches, one division by the step's counts, clipping, update, fresh compute weights.
///   step   index of the step, for messages
/// A loss or gradient that is not finite changes no weight (train/recovery.h).
struct StepSettings {
  int64_t step;
  double lr;
  double router_bias_speed = 0;
};
StepResult train_step(StepModel& model, Optimizer& optimizer, Recovery& recovery, const StepBatch& batch, const StepSettings& settings);

}  // namespace temper
