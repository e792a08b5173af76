#pragma once
// The only door to torch: the tensor type, dtypes and shape checks.  Operators are included one by one
// (ATen/ops/<op>.h) in the layers that layers.toml lists.

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

namespace temper {

using at::Tensor;
using Shape = std::vector<int64_t>;

/// "float32", "bfloat16", "float64", "int64", ... as in configs and safetensors documentation.
std::string dtype_name(at::ScalarType dtype);
/// The inverse; Error{kConfig} for an unknown name.
at::ScalarType parse_dtype(std::string_view name);

/// "[2, 3]"
std::string shape_text(at::IntArrayRef shape);

/// Throws Error{kInternal} unless `tensor` has this shape; -1 matches any size.
void expect_shape(const Tensor& tensor, const Shape& shape, std::string_view name);
void expect_same_shape(std::string_view op, std::initializer_list<Tensor> tensors);

/// The dtype in which sums, norms, softmax and mHC are computed: float64 for float64 inputs, else float32.
at::ScalarType accumulate_dtype(at::ScalarType dtype);
Tensor to_accumulate(const Tensor& tensor);

/// `tensor` in this dtype, its elements adjacent.  Asks libtorch only where something is to be done: to() that does nothing costs 0.1 us.
inline Tensor dense(const Tensor& tensor, at::ScalarType dtype) {
  return tensor.scalar_type() == dtype && tensor.is_contiguous() ? tensor : tensor.to(dtype).contiguous();
}

}  // namespace temper
