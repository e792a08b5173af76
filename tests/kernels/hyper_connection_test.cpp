// mHC: golden values of the specification, hand-written gradients against ATen's autograd of the composite forward, the
// device's kernels against their twins.

#include "kernels/hyper_connection.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "kernels/cpu/isa.h"
#include "kernels/rms_norm.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

struct Problem {
  Tensor streams, out, grad_y, grad_next;
  HcTensors weights;
  HcConfig config;
  bool head;
};

Problem problem(int64_t T, int64_t M, int64_t D, at::ScalarType dtype, bool head, HcConfig config = {}) {
  const int64_t C = head ? M : 2 * M + M * M;
  const at::ScalarType wide = accumulate_dtype(dtype);
  config.hc_mult = M;
  return {.streams = random_tensor({T, M, D}, "streams", dtype),
          .out = random_tensor({T, D}, "out", dtype),
          .grad_y = random_tensor({T, D}, "dy", dtype),
          .grad_next = random_tensor({T, M, D}, "dnext", dtype),
          .weights = {.fn = random_tensor({C, M * D}, "fn", wide, 0.3), .base = random_tensor({C}, "base", wide), .scale = random_tensor({head ? 1 : 3}, "scale", wide)},
          .config = config,
          .head = head};
}

// docs/deepseek_v4.md, "Hyper-connections": values computed once from the definition, apart from this code.
TEST(Sinkhorn, GivesTheGoldenValues) {
  const Tensor flat = reference::sinkhorn(at::zeros({4, 4}, at::kDouble), 20, 1e-6);
  EXPECT_LT((flat - 0.24999975).abs().max().item<double>(), 1e-8);
  const Tensor logits = at::tensor({1., 0., 0., 0., 0., 2., -1., 0., .5, 0., 0., -3., 0., 0., 4., 1.}, at::kDouble).view({4, 4});
  const Tensor golden = at::tensor({.3704743, .1179252, .0743239, .4372757, .0925723, .5918448, .0185719, .2970100,
                                    .5121747, .2687900, .1694083, .0496260, .0247777, .0214389, .7376949, .2160874}, at::kDouble).view({4, 4});
  EXPECT_LT((reference::sinkhorn(logits, 20, 1e-6) - golden).abs().max().item<double>(), 1e-7);
  EXPECT_LT((reference::sinkhorn(logits.to(at::kFloat), 20, 1e-6).to(at::kDouble) - golden).abs().max().item<double>(), 5e-7);
}

TEST(Sinkhorn, GradientIsAutogradsGradient) {
  for (const int64_t M : {1, 2, 3, 4, 5, 8})
    for (const int64_t iters : {1, 2, 20}) {
      const Tensor logits = random_tensor({7, M, M}, "logits", at::kDouble, 2).requires_grad_(), grad = random_tensor({7, M, M}, "grad", at::kDouble);
      (reference::sinkhorn(logits, iters, 1e-2) * grad).sum().backward();
      EXPECT_TRUE(close(reference::sinkhorn_backward(grad, logits.detach(), iters, 1e-2), logits.grad(), kHyperConnectionGrad.float64));
    }
}

TEST(HyperConnection, TwinGradientIsAutogradsGradient) {
  for (const int64_t M : {1, 2, 3, 4, 5})
    for (const bool head : {false, true}) {
      SCOPED_TRACE(std::to_string(M) + (head ? " head" : " site"));
      Problem p = problem(9, M, 12, at::kDouble, head, {.sinkhorn_iters = 6, .hc_eps = 1e-2, .rms_norm_eps = 1e-3});
      for (Tensor* t : {&p.streams, &p.out, &p.weights.fn, &p.weights.base, &p.weights.scale}) t->requires_grad_();
      const HcPre pre = reference::hc_pre(p.streams, p.weights, p.config, head);
      Tensor loss = (pre.y * p.grad_y).sum();
      if (!head) loss = loss + (reference::hc_post(p.streams, p.out, pre.saved.coefficients) * p.grad_next).sum();
      loss.backward();

      const HcSaved saved{pre.saved.inv_rms.detach(), pre.saved.mix.detach(), pre.saved.coefficients.detach()};
      const HcTensors weights{p.weights.fn.detach(), p.weights.base.detach(), p.weights.scale.detach()};
      HcPostGrad post;
      if (!head) {
        post = reference::hc_post_backward(p.grad_next, p.streams.detach(), p.out.detach(), saved.coefficients);
        EXPECT_TRUE(close(post.out, p.out.grad(), kHyperConnectionGrad.float64));
      }
      const HcPreGrad grads = reference::hc_pre_backward({.grad_y = p.grad_y, .grad_streams = head ? Tensor() : p.grad_next,
                                                          .grad_coefficients = post.coefficients, .streams = p.streams.detach(),
                                                          .saved = saved, .weights = weights, .config = p.config});
      EXPECT_TRUE(close(grads.streams, p.streams.grad(), kHyperConnectionGrad.float64));
      EXPECT_TRUE(close(grads.fn, p.weights.fn.grad(), kHyperConnectionGrad.float64));
      EXPECT_TRUE(close(grads.base, p.weights.base.grad(), kHyperConnectionGrad.float64));
      EXPECT_TRUE(close(grads.scale, p.weights.scale.grad(), kHyperConnectionGrad.float64));
    }
}

TEST(HyperConnection, AgreesWithItsTwinOnEveryIsaDtypeAndShape) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
      for (const int64_t M : {1, 2, 3, 4, 5, 8})
        for (const int64_t D : {5, 24, 64})
          for (const int64_t T : {1, 23, 67})
            for (const bool head : {false, true}) {
              const ForceIsa force(isa);
              SCOPED_TRACE(std::string(isa_name(isa)) + " " + dtype_name(dtype) + " M " + std::to_string(M) + " D " + std::to_string(D) + (head ? " head" : " site"));
              const Problem p = problem(T, M, D, dtype, head, {.sinkhorn_iters = 20, .hc_eps = 1e-6, .rms_norm_eps = 1e-6});
              const HcPre pre = kernel<HcPreKernel>(p.streams)(p.streams, p.weights, p.config, head);
              const HcPre twin = reference::hc_pre(p.streams, p.weights, p.config, head);
              EXPECT_TRUE(close(pre.y, twin.y, pick(kHyperConnection, dtype)));
              EXPECT_TRUE(close(pre.saved.inv_rms, twin.saved.inv_rms, pick(kHyperConnection, accumulate_dtype(dtype))));
              EXPECT_TRUE(close(pre.saved.mix, twin.saved.mix, pick(kHyperConnection, accumulate_dtype(dtype))));
              EXPECT_TRUE(close(pre.saved.coefficients, twin.saved.coefficients, pick(kHyperConnection, accumulate_dtype(dtype))));
              HcPostGrad post;
              if (!head) {
                EXPECT_TRUE(close(kernel<HcPostKernel>(p.streams)(p.streams, p.out, twin.saved.coefficients),
                                  reference::hc_post(p.streams, p.out, twin.saved.coefficients), pick(kHyperConnection, dtype)));
                post = reference::hc_post_backward(p.grad_next, p.streams, p.out, twin.saved.coefficients);
                const HcPostGrad own = kernel<HcPostBackwardKernel>(p.streams)(p.grad_next, p.streams, p.out, twin.saved.coefficients);
                EXPECT_TRUE(close(own.out, post.out, pick(kHyperConnection, dtype)));
                EXPECT_TRUE(close(own.coefficients, post.coefficients, pick(kHyperConnection, accumulate_dtype(dtype))));
              }
              const HcPreBackwardArgs args{.grad_y = p.grad_y, .grad_streams = head ? Tensor() : p.grad_next, .grad_coefficients = post.coefficients,
                                           .streams = p.streams, .saved = twin.saved, .weights = p.weights, .config = p.config};
              const HcPreGrad own = kernel<HcPreBackwardKernel>(p.streams)(args), other = reference::hc_pre_backward(args);
              EXPECT_TRUE(close(own.streams, other.streams, pick(kHyperConnectionGrad, dtype)));
              EXPECT_TRUE(close(own.fn, other.fn, pick(kHyperConnectionGrad, accumulate_dtype(dtype))));
              EXPECT_TRUE(close(own.base, other.base, pick(kHyperConnectionGrad, accumulate_dtype(dtype))));
              EXPECT_TRUE(close(own.scale, other.scale, 10 * pick(kHyperConnectionGrad, accumulate_dtype(dtype))));   // cancelling sums
            }
}

TEST(HyperConnection, TheNextSiteInOneCallHasTheBitsOfItsSteps) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
      for (const auto& [T, M, D] : {std::tuple<int64_t, int64_t, int64_t>{1, 4, 40}, {8, 4, 512}, {150, 2, 24}, {5, 9, 16}}) {   // 9: left to the twin
        const ForceIsa force(isa);
        SCOPED_TRACE(std::string(isa_name(isa)) + " " + dtype_name(dtype) + " T " + std::to_string(T) + " M " + std::to_string(M));
        const Problem p = problem(T, M, D, dtype, /*head=*/false);
        const Tensor coefficients = random_tensor({T, 2 * M + M * M}, "coefficients", accumulate_dtype(dtype)), norm = random_tensor({D}, "norm", accumulate_dtype(dtype));
        const HcNextArgs args{.streams = p.streams, .out = p.out, .coefficients = coefficients, .weights = p.weights, .norm = norm, .config = p.config};
        const HcNext next = kernel<HcNextKernel>(p.streams)(args), twin = reference::hc_next(args);
        const Tensor streams = kernel<HcPostKernel>(p.streams)(p.streams, p.out, coefficients);
        const HcPre pre = kernel<HcPreKernel>(streams)(streams, p.weights, p.config, false);
        const auto [u, rstd] = kernel<RmsNorm>(pre.y)(pre.y, norm, p.config.rms_norm_eps);
        EXPECT_TRUE(same_bits(next.streams, streams));
        EXPECT_TRUE(same_bits(next.pre.y, pre.y));
        EXPECT_TRUE(same_bits(next.pre.saved.inv_rms, pre.saved.inv_rms));
        EXPECT_TRUE(same_bits(next.pre.saved.mix, pre.saved.mix));
        EXPECT_TRUE(same_bits(next.pre.saved.coefficients, pre.saved.coefficients));
        EXPECT_TRUE(same_bits(next.u, u));
        EXPECT_TRUE(same_bits(next.rstd, rstd));
        EXPECT_TRUE(close(next.u, twin.u, pick(kHyperConnection, dtype)));
      }
}

TEST(HyperConnection, RepeatsItsBits) {
  const Problem p = problem(700, 4, 64, at::kBFloat16, false);
  const HcPre pre = kernel<HcPreKernel>(p.streams)(p.streams, p.weights, p.config, false);
  const HcPostGrad post = kernel<HcPostBackwardKernel>(p.streams)(p.grad_next, p.streams, p.out, pre.saved.coefficients);
  const HcPreBackwardArgs args{.grad_y = p.grad_y, .grad_streams = p.grad_next, .grad_coefficients = post.coefficients,
                               .streams = p.streams, .saved = pre.saved, .weights = p.weights, .config = p.config};
  const HcPreGrad first = kernel<HcPreBackwardKernel>(p.streams)(args), second = kernel<HcPreBackwardKernel>(p.streams)(args);
  EXPECT_TRUE(same_bits(first.streams, second.streams));
  EXPECT_TRUE(same_bits(first.fn, second.fn));
  EXPECT_TRUE(same_bits(first.scale, second.scale));
}

}  // namespace
}  // namespace temper
