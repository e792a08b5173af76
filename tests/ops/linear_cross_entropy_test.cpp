// The fused head and cross-entropy against log_softmax of whole logits and its autograd gradient.

#include "ops/linear_cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/tensors.h"
#include "tensor/batch.h"

namespace temper {
namespace {

using namespace test;

struct Problem {
  Tensor hidden, head, targets, grad;
};

// Wide enough that the rows are cut in several chunks.
Problem problem(int64_t T, int64_t D, int64_t V, at::ScalarType dtype, int64_t ignored_every) {
  std::vector<int64_t> targets;
  for (int64_t t = 0; t < T; ++t) targets.push_back(ignored_every && t % ignored_every == 1 ? kIgnoredLabel : t * 7919 % V);
  return {random_tensor({T, D}, "hidden", dtype), random_tensor({V, D}, "head", dtype, 0.3), at::tensor(targets, at::kLong), random_tensor({T}, "grad", accumulate_dtype(dtype))};
}

TEST(LinearCrossEntropy, AgreesWithWholeLogits) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kBFloat16})
    for (const int64_t V : {11, 200'003})
      for (const int64_t ignored_every : {0, 2, 3}) {
        if (V > 1000 && (dtype == at::kDouble || ignored_every == 2)) continue;   // quick
        SCOPED_TRACE(dtype_name(dtype) + " V " + std::to_string(V) + " ignored every " + std::to_string(ignored_every));
        const Problem p = problem(45, 6, V, dtype, ignored_every);
        const Weight head{p.head, at::zeros(p.head.sizes(), accumulate_dtype(dtype))}, head_again{p.head, at::zeros(p.head.sizes(), accumulate_dtype(dtype))};
        const LinearCrossEntropyGrad fused = linear_cross_entropy_with_grad(p.grad, p.hidden, head, p.targets);
        const TokenLogprobs forward = linear_cross_entropy(p.hidden, p.head, p.targets);
        const Tensor grad_hidden = linear_cross_entropy_backward(p.grad, p.hidden, head_again, p.targets, forward.lse);

        const Tensor x = p.hidden.to(at::kDouble).requires_grad_(), w = p.head.to(at::kDouble).requires_grad_();
        const Tensor trained = p.targets.ne(kIgnoredLabel), safe = p.targets.clamp_min(0);
        const Tensor logprobs = at::log_softmax(at::matmul(x, w.t()), -1).gather(1, safe.unsqueeze(1)).squeeze(1) * trained;
        (logprobs * p.grad.to(at::kDouble)).sum().backward();

        const double bound = pick(kCrossEntropy, accumulate_dtype(dtype)), grad_bound = pick(kHeadGrad, dtype);
        EXPECT_TRUE(close(fused.forward.logprobs, logprobs.detach(), bound));
        EXPECT_TRUE(same_bits(forward.logprobs, fused.forward.logprobs));
        EXPECT_TRUE(close(fused.grad_hidden, x.grad(), grad_bound));
        EXPECT_TRUE(close(head.grad, w.grad(), grad_bound));
        EXPECT_TRUE(same_bits(grad_hidden, fused.grad_hidden));
        EXPECT_TRUE(same_bits(head_again.grad, head.grad));
      }
}

TEST(LinearCrossEntropy, NothingTrainedGivesZeros) {
  const Problem p = problem(9, 4, 7, at::kFloat, 0);
  const Weight head{p.head, at::zeros({7, 4})};
  const LinearCrossEntropyGrad fused = linear_cross_entropy_with_grad(p.grad, p.hidden, head, at::zeros({9}, at::kLong) + kIgnoredLabel);
  EXPECT_TRUE(same_bits(fused.grad_hidden, at::zeros({9, 4})));
  EXPECT_TRUE(same_bits(fused.forward.logprobs, at::zeros({9})));
  EXPECT_TRUE(same_bits(head.grad, at::zeros({7, 4})));
}

TEST(Logits, AreTheProductInFloat32) {
  const Problem p = problem(9, 40, 33, at::kBFloat16, 0);
  const Tensor z = logits(p.hidden, p.head);
  EXPECT_EQ(z.scalar_type(), at::kFloat);
  EXPECT_TRUE(close(z, at::matmul(p.hidden.to(at::kDouble), p.head.to(at::kDouble).t()), kMatmul.float32));
}

}  // namespace
}  // namespace temper
