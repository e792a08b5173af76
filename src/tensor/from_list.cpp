#include "tensor/from_list.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace temper {
namespace {

template <class T> Tensor copy_of(std::span<const T> values, at::ScalarType dtype) {
  Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(dtype));
  std::copy(values.begin(), values.end(), static_cast<T*>(tensor.mutable_data_ptr()));
  return tensor;
}

}  // namespace

Tensor tensor_of(std::span<const int64_t> values) { return copy_of(values, at::kLong); }
Tensor tensor_of(std::span<const float> values) { return copy_of(values, at::kFloat); }

}  // namespace temper
