#include "train/held_out.h"

#include "base/interrupt.h"

namespace temper {

HeldOutLoss held_out_loss(StepModel& model, const std::vector<Batch>& batches) {
  HeldOutLoss result;
  double sum = 0;
  for (const Batch& batch : batches) {
    check_interrupt();
    sum += model.forward(batch);
  }
  result.n_tokens = model.count(batches).lm;
  result.loss = sum / result.n_tokens;
  return result;
}

}  // namespace temper
