#pragma once
// Deterministic random tensors and the comparison of tensors.

#include <gtest/gtest.h>

#include <string_view>

#include "support/tolerance.h"
#include "tensor/tensor.h"

namespace temper::test {

/// Normal numbers times `scale` that depend only on (shape, name).
Tensor random_tensor(at::IntArrayRef shape, std::string_view name, at::ScalarType dtype = at::kFloat, double scale = 1.0);

/// |a - b| / |b| in the Frobenius norm, computed in float64; 0 if both are zero.
double relative_error(const Tensor& a, const Tensor& b);

double pick(const Tolerance& tolerance, at::ScalarType dtype);

/// Same shape and relative_error <= bound.
::testing::AssertionResult close(const Tensor& a, const Tensor& b, double bound);
::testing::AssertionResult same_bits(const Tensor& a, const Tensor& b);

}  // namespace temper::test
