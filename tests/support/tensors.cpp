#include "support/tensors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "base/rng.h"

namespace temper::test {

Tensor random_tensor(at::IntArrayRef shape, std::string_view name, at::ScalarType dtype, double scale) {
  Tensor t = at::empty(shape, at::kDouble);
  const RandomStream stream(1, name);
  double* data = t.mutable_data_ptr<double>();
  for (int64_t i = 0; i < t.numel(); ++i) data[i] = scale * stream.normal(static_cast<uint64_t>(i));
  return t.to(dtype);
}

double relative_error(const Tensor& a, const Tensor& b) {
  const Tensor wide = b.to(at::kDouble);
  const double difference = at::linalg_vector_norm(a.to(at::kDouble) - wide).item<double>();
  const double size = at::linalg_vector_norm(wide).item<double>();
  return difference == 0 ? 0 : difference / size;
}

double pick(const Tolerance& tolerance, at::ScalarType dtype) {
  return dtype == at::kDouble ? tolerance.float64 : dtype == at::kFloat ? tolerance.float32 : tolerance.bfloat16;
}

::testing::AssertionResult close(const Tensor& a, const Tensor& b, double bound) {
  if (a.sizes() != b.sizes()) return ::testing::AssertionFailure() << shape_text(a.sizes()) << " against " << shape_text(b.sizes());
  const double error = relative_error(a, b);
  if (error <= bound) return ::testing::AssertionSuccess();   // false for NaN
  return ::testing::AssertionFailure() << "relative error " << error << " > " << bound;
}

::testing::AssertionResult same_bits(const Tensor& a, const Tensor& b) {
  if (a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && at::equal(a, b)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "tensors differ, relative error " << (a.sizes() == b.sizes() ? relative_error(a, b) : -1);
}

}  // namespace temper::test
