#include "kernels/cpu/cpu_kernel.h"

#include <ATen/ops/empty.h>

namespace temper {

namespace {
thread_local bool only_shapes = false;
}

detail::ShapesOnly::ShapesOnly() : previous_(std::exchange(only_shapes, true)) {}
detail::ShapesOnly::~ShapesOnly() { only_shapes = previous_; }

bool shapes_only() { return only_shapes; }

Tensor kernel_scratch(int64_t bytes) {
  if (!only_shapes) return at::empty({bytes}, at::kByte);
  const ProfilePart part("kernel scratch");   // its row where memory is counted
  return at::empty({bytes}, at::TensorOptions(at::kByte).device(at::kMeta));
}

}  // namespace temper
