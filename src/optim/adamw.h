#pragma once
// AdamW with decoupled weight decay.

#include <cstdint>
#include <span>

#include "base/config.h"
#include "tensor/tensor.h"

namespace temper {

/// The V4 report's values; the tiny epsilon keeps the update's size independent of the gradient's scale.
struct AdamWConfig {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-20;
  double weight_decay = 0.1;   // multiplied by lr

  template <class Visitor> void visit(Visitor& v) {
    v("beta1", beta1, "decay of the mean of gradients, per step", between(0.0, 1.0));
    v("beta2", beta2, "decay of the mean of squared gradients, per step", between(0.0, 1.0));
    v("epsilon", epsilon, "added to the root of the mean of squares", between(0.0, 1e3));
    v("weight_decay", weight_decay, "multiplied by lr, per step; not applied to norms, sinks and mHC base and scale", between(0.0, 1e3));
  }
};

/// One tensor of an AdamW step.
///   w, m, v, g   equal shapes, fp32 (fp64 is possible)
///   step         1 for the first step that this tensor is trained (bias correction)
///   copy         the dtype that is computed with: becomes the new w, rounded; undefined = none
///   grad_scale   multiplies the gradient as it is read: gradient clipping without a pass of its own
struct AdamWTensorStep {
  Tensor w, m, v, g;
  Tensor copy = {};
  double lr;
  int64_t step;
  double grad_scale = 1.0;
  bool decay = true;
};

/// One AdamW step on each tensor, in place.
///   m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2
///   w <- (1 - lr * weight_decay) w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// fp32 on the CPU is one fused pass over all tensors; anything else goes to the reference.
/// Errors  Error{kInternal} if shapes differ.  REQUIRES finite g.
/// Source  Loshchilov and Hutter, arXiv 1711.05101; as torch.optim.AdamW.  Numbers: tests/optim/adamw_test.cpp.
void adamw_step(std::span<AdamWTensorStep> tensors, const AdamWConfig& config);

/// The plain twin: the same formula in ATen operations, any device and floating dtype.
void adamw_step_reference(AdamWTensorStep& tensor, const AdamWConfig& config);

}  // namespace temper
