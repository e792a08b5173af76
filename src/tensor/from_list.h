#pragma once
// Host lists as tensors, for layers that build batches but use no operators.

#include <span>

#include "tensor/tensor.h"

namespace temper {

/// A copy: [n] int64 or float32 on the CPU.
Tensor tensor_of(std::span<const int64_t> values);
Tensor tensor_of(std::span<const float> values);

}  // namespace temper
