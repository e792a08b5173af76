#pragma once

#include <vector>

#include "train/step_model.h"

namespace temper {

struct HeldOutLoss {
  double loss = 0;       // mean over trained targets of all batches together
  double n_tokens = 0;   // their number (sum of their weights)
};

/// The language-model loss on data that is not trained on.  REQUIRES a batch with a trained target.
HeldOutLoss held_out_loss(StepModel& model, const std::vector<Batch>& batches);

}  // namespace temper
