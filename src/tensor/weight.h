#pragma once
// A weight as an operation sees it.

#include "tensor/tensor.h"

namespace temper {

/// value  the weight in the compute dtype (bf16, fp32 or fp64)
/// grad   same shape, fp32 (fp64 in fp64 runs); backward passes add to it in place, so gradients of several
///        micro-batches are summed without rounding to bf16.  Undefined = frozen: no gradient is computed.
struct Weight {
  Tensor value, grad;
  bool trained() const { return grad.defined(); }
};

}  // namespace temper
