// The CPU pooling kernel against its composite twin, and the twin against autograd.

#include "kernels/compressor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cpu/isa.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

PoolRows rows_of(int64_t ratio, const std::vector<int64_t>& documents) {
  std::vector<int64_t> first, previous;
  int64_t start = 0;
  for (const int64_t length : documents) {
    for (int64_t i = 0; i < length / ratio; ++i) {
      first.push_back(start + i * ratio);
      previous.push_back(i == 0 ? -1 : start + (i - 1) * ratio);
    }
    start += length;
  }
  const auto tensor = [](const std::vector<int64_t>& values) {
    Tensor t = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
    std::copy(values.begin(), values.end(), t.mutable_data_ptr<int64_t>());
    return t;
  };
  return {.ratio = ratio, .overlap = ratio == 4, .first_token = tensor(first), .previous = tensor(previous)};
}

TEST(CompressorPoolKernel, AgreesWithItsTwinOnEveryIsa) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble})
      for (const auto& [ratio, dim] : {std::pair<int64_t, int64_t>{4, 16}, {4, 5}, {128, 64}, {128, 35}}) {
        const ForceIsa force(isa);
        SCOPED_TRACE(fmt::format("{} {} ratio {} dim {}", isa_name(isa), dtype_name(dtype), ratio, dim));
        const std::vector<int64_t> documents = {3, 261, 130};
        const PoolRows rows = rows_of(ratio, documents);
        const int64_t width = dim * (ratio == 4 ? 2 : 1), N = rows.first_token.size(0);
        const Tensor values = random_tensor({394, width}, "v", dtype), gates = random_tensor({394, width}, "e", dtype, 2.0), ape = random_tensor({ratio, width}, "ape", dtype);
        const Tensor grad = random_tensor({N, dim}, "grad", dtype);
        const Tensor pooled = kernel<CompressorPool>(values)(values, gates, ape, rows), twin = reference::compressor_pool(values, gates, ape, rows);
        EXPECT_TRUE(close(pooled, twin, pick(kAttentionCore, dtype)));
        Tensor grad_ape = at::ones({ratio, width}, values.options()), grad_ape_twin = grad_ape.clone();
        const PoolGrads grads = kernel<CompressorPoolBackward>(values)(grad, values, gates, ape, pooled, rows, grad_ape);
        const PoolGrads grads_twin = reference::compressor_pool_backward(grad, values, gates, ape, twin, rows, grad_ape_twin);
        EXPECT_TRUE(close(grads.values, grads_twin.values, pick(kAttentionCoreGrad, dtype)));
        EXPECT_TRUE(close(grads.gates, grads_twin.gates, pick(kAttentionCoreGrad, dtype)));
        EXPECT_TRUE(close(grad_ape, grad_ape_twin, pick(kAttentionCoreGrad, dtype)));
      }
}

TEST(CompressorPoolKernel, TwinGradientIsAutogradsGradientAndTailsGetNone) {
  for (const int64_t ratio : {4, 128}) {
    const PoolRows rows = rows_of(ratio, {ratio * 2 + 3, 2});
    const int64_t width = ratio == 4 ? 12 : 6, T = ratio * 2 + 5;
    const Tensor values = random_tensor({T, width}, "v", at::kDouble).requires_grad_(), gates = random_tensor({T, width}, "e", at::kDouble).requires_grad_();
    const Tensor ape = random_tensor({ratio, width}, "ape", at::kDouble).requires_grad_(), grad = random_tensor({2, 6}, "grad", at::kDouble);
    const Tensor pooled = reference::compressor_pool(values, gates, ape, rows);
    (pooled * grad).sum().backward();
    Tensor grad_ape = at::zeros({ratio, width}, at::kDouble);
    const PoolGrads grads = reference::compressor_pool_backward(grad, values.detach(), gates.detach(), ape.detach(), pooled.detach(), rows, grad_ape);
    EXPECT_TRUE(close(grads.values, values.grad(), kAttentionCoreGrad.float64));
    EXPECT_TRUE(close(grads.gates, gates.grad(), kAttentionCoreGrad.float64));
    EXPECT_TRUE(close(grad_ape, ape.grad(), kAttentionCoreGrad.float64));
    EXPECT_EQ(grads.values.narrow(0, 2 * ratio, 5).abs().max().item<double>(), 0);
    // With overlap the last complete block gives nothing to a next entry that does not exist.
    if (ratio == 4) {
      EXPECT_EQ(grads.values.narrow(0, ratio, ratio).narrow(1, 0, 6).abs().max().item<double>(), 0);
    }
  }
}

}  // namespace
}  // namespace temper
