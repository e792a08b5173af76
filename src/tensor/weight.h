#pragma once
// A weight as an operation sees it.

#include <memory>
#include <utility>

#include "tensor/tensor.h"

namespace temper {

/// value  the weight in the compute dtype (bf16, fp32 or fp64)
/// grad   same shape, fp32 (fp64 in fp64 runs); backward passes add to it in place, so gradients of several
///        micro-batches are summed without rounding to bf16.  Undefined = frozen: no gradient is computed.
/// stale  true: grad holds what is left of an earlier step, and this step's first gradient overwrites it (no pass over the memory to
///        clear it, none to read zeros).  Shared by all copies of one weight; null = never.  From one thread.
struct Weight {
  Tensor value, grad;
  std::shared_ptr<bool> stale = nullptr;
  bool trained() const { return grad.defined(); }

  /// For operations that can do both: true = add to grad, false = overwrite all of it.  Each call counts as one gradient.
  bool adds() const { return !stale || !std::exchange(*stale, false); }
  /// For operations that can only add: grad, cleared first if it is stale; undefined if frozen.
  Tensor grad_sum() const {
    if (trained() && !adds()) grad.zero_();
    return grad;
  }
};

}  // namespace temper
