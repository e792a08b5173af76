#pragma once
// A table of expert ids (`tid2eid`) that a model accepts.

#include <ATen/ops/arange.h>

#include "tensor/tensor.h"

namespace temper::test {

/// [V, K] int64: every row holds the ids 0 to K - 1.
inline Tensor distinct_ids(at::IntArrayRef shape) { return at::arange(shape[1], at::kLong).expand(shape).contiguous(); }

}  // namespace temper::test
