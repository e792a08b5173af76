#include "train/train_step.h"

#include "base/clock.h"

namespace temper {
StepResult train_step(StepModel& model, Optimizer& optimizer, Recovery& recovery, const StepBatch& batch, const StepSettings& settings) {
  StepResult result;
  const auto start = Clock::now();

  // The counts that losses are divided by are those of the whole step and known before the first backward pass: gradients
  // need no second pass, and the result does not depend on how the step is cut into micro-batches.
  const LossCounts counts = model.count(batch.micro_batches);
  model.begin_gradients();
  LossSums sums;
  for (const Batch& micro_batch : batch.micro_batches) sums.add(model.forward_backward(micro_batch, counts));
  model.finish_gradients();
  const LossMeans means = model.means(sums, counts);
  result.loss = means.total;
  result.lm_loss = means.lm;
  result.mtp_loss = means.mtp;
  result.balance_loss = means.balance;
  result.indexer_loss = means.indexer;
  result.load_ratio = load_ratios(sums);
  result.forward_backward_seconds = seconds_since(start);

  const auto update_start = Clock::now();
  result.norms = optimizer.gradient_norms();
  result.skipped = recovery.judge(settings.step, result.loss, result.norms.trunk, result.norms.indexer);
  if (!result.skipped) {
    optimizer.step(settings.lr, result.norms);
    if (settings.router_bias_speed > 0) model.update_router_biases(sums, settings.router_bias_speed);
    if (!optimizer.keeps_copies()) model.refresh();
  }
  result.update_seconds = seconds_since(update_start);
  return result;
}

}  // namespace temper
