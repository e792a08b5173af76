#pragma once
// Load balancing without a loss: the bias that only the selection of experts sees follows the load.

#include "tensor/tensor.h"

namespace temper {

/// One update for one MoE layer, once per optimizer step, in place:  bias_e += speed * sign(mean(load) - load_e).
/// Shapes  bias [E] fp32; load [E], tokens routed to each expert over the whole global batch (any numeric dtype).
/// Source  V3 report section 2.1.2, V4 report 4.2 (speed 0.001).
void update_router_bias(Tensor& bias, const Tensor& load, double speed);

}  // namespace temper
