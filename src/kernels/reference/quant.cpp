#include "kernels/quant.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ldexp.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <limits>

namespace temper {
namespace {

// The smallest power of two s with top * s >= amax; 1 where amax is 0, NaN where it is not finite.  Comparing instead of
// taking a logarithm: exact.
Tensor block_scale(const Tensor& amax, double top) {
  Tensor exponent = at::full_like(amax, -127.0);
  for (int e = -126; e <= 127; ++e) exponent = exponent + (amax > top * std::ldexp(1.0, e - 1)).to(amax.scalar_type());
  const Tensor scale = at::ldexp(at::ones_like(amax), exponent);
  const Tensor finite = at::where(amax == 0, at::ones_like(scale), scale);
  return at::where(amax < std::numeric_limits<double>::infinity(), finite, at::full_like(scale, std::numeric_limits<double>::quiet_NaN()));
}

// [rows, columns] -> [row blocks, height, column blocks, width], padded with zeros.
Tensor in_blocks(const Tensor& x, int64_t height, int64_t width) {
  const int64_t n_rows = (x.size(0) + height - 1) / height, n_columns = (x.size(1) + width - 1) / width;
  return at::constant_pad_nd(x, {0, n_columns * width - x.size(1), 0, n_rows * height - x.size(0)}).view({n_rows, height, n_columns, width});
}

template <class Round>
Tensor by_blocks(const Tensor& weight, int64_t height, int64_t width, double top, const Round& round) {
  if (weight.is_meta()) return at::empty_like(weight);   // abs and where have no meta version
  const Tensor blocks = in_blocks(weight.to(at::kDouble), height, width);
  const Tensor scale = block_scale(blocks.abs().amax({1, 3}, /*keepdim=*/true), top);
  const Tensor rounded = round(blocks / scale) * scale;
  return rounded.reshape({rounded.size(0) * height, rounded.size(2) * width}).narrow(0, 0, weight.size(0)).narrow(1, 0, weight.size(1)).to(weight.scalar_type()).contiguous();
}

}  // namespace

Tensor reference::fake_quant_fp8_block(const Tensor& weight) {
  return by_blocks(weight, 128, 128, 448.0, [](const Tensor& x) { return x.to(at::kFloat).to(at::ScalarType::Float8_e4m3fn).to(at::kDouble); });
}

Tensor reference::fake_quant_fp4_block(const Tensor& weight) {
  return by_blocks(weight, 1, 32, 6.0, [](const Tensor& x) {
    const Tensor a = x.abs();
    const Tensor grid = at::where(a < 2, at::round(a * 2) / 2, at::where(a < 4, at::round(a), at::round(a / 2) * 2));   // round: ties to even
    return at::where(x < 0, -grid, grid);
  });
}

namespace {
const ReferenceKernel<FakeQuantFp8Block> fp8_registered{&reference::fake_quant_fp8_block};
const ReferenceKernel<FakeQuantFp4Block> fp4_registered{&reference::fake_quant_fp4_block};
}  // namespace

}  // namespace temper
