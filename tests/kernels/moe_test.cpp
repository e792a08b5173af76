// Router, SwiGLU, dispatch, combine, grouped GEMM and cross-entropy kernels: hand-written gradients against ATen's
// autograd of the composite forward, the device's kernels against their twins.

#include "kernels/moe.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/isa.h"
#include "kernels/cross_entropy.h"
#include "kernels/grouped_matmul.h"
#include "ops/seams.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

TEST(RouterKernel, TwinGradientIsAutogradsGradient) {
  const Tensor logits = random_tensor({11, 7}, "logits", at::kDouble, 3).requires_grad_(), bias = random_tensor({7}, "bias", at::kDouble);
  const Tensor grad = random_tensor({11, 3}, "grad", at::kDouble);
  const RouterScores routed = reference::route({.logits = logits, .bias = bias, .expert_ids = {}, .top_k = 3, .routed_scale = 2.5});
  (routed.weights * grad).sum().backward();
  const Tensor own = reference::route_backward({.grad_weights = grad, .logits = logits.detach(), .expert_ids = routed.expert_ids, .routed_scale = 2.5});
  EXPECT_TRUE(close(own, logits.grad(), kRouter.float64));
}

// The naive sqrt(softplus(l)) gives 0 and its derivative 0/0 for l <= -104 in fp32; s = e^(l/2), ds/dl = s/2 are exact to rounding.
TEST(RouterKernel, StaysExactAtVeryNegativeLogits) {
  for (const double l : {-39.9, -40.1, -104.0, -150.0, -170.0}) {
    const Tensor logit = at::tensor({l}, at::kFloat).view({1, 1});
    EXPECT_NEAR(reference::router_scores(logit).item<double>() / std::exp(l / 2), 1, 2e-6) << l;
    EXPECT_NEAR(reference::router_score_slope(logit).item<double>() / (std::exp(l / 2) / 2), 1, 2e-6) << l;
  }
  const Tensor logits = at::tensor({-120.0, -121.0, -122.0, -130.0}, at::kFloat).view({1, 4});
  const RouterScores routed = kernel<RouteKernel>(logits)({.logits = logits, .bias = {}, .expert_ids = {}, .top_k = 2, .routed_scale = 1.0});
  EXPECT_NEAR(routed.weights[0][0].item<double>(), 1 / (1 + std::exp(-0.5)), 1e-5);   // scores e^-60 and e^-60.5
  const Tensor grad = kernel<RouteBackwardKernel>(logits)({.grad_weights = at::tensor({1.0, 0.0}, at::kFloat).view({1, 2}), .logits = logits,
                                                           .expert_ids = routed.expert_ids, .routed_scale = 1.0});
  const double p = 1 / (1 + std::exp(-0.5));
  EXPECT_NEAR(grad[0][0].item<double>(), p * (1 - p) / 2, 1e-5);
}

TEST(RouterKernel, GivesTiesToTheLowerIndexAndBiasMovesOnlyTheSelection) {
  const Tensor logits = at::tensor({0.5, 1.0, 0.5, 1.0, 0.5}, at::kFloat).view({1, 5});
  const auto select = [&](const Tensor& bias) { return kernel<RouteKernel>(logits)({.logits = logits, .bias = bias, .expert_ids = {}, .top_k = 3, .routed_scale = 1.5}); };
  EXPECT_TRUE(same_bits(select({}).expert_ids, at::tensor({1, 3, 0}, at::kLong).view({1, 3})));
  const RouterScores biased = select(at::tensor({0.0, 0.0, 0.0, 0.0, 9.0}, at::kFloat));
  EXPECT_TRUE(same_bits(biased.expert_ids, at::tensor({4, 1, 3}, at::kLong).view({1, 3})));
  EXPECT_NEAR(biased.weights.sum().item<double>(), 1.5, 1e-6);
  const double low = std::sqrt(std::log1p(std::exp(0.5))), high = std::sqrt(std::log1p(std::exp(1.0)));
  EXPECT_NEAR(biased.weights[0][0].item<double>(), 1.5 * low / (low + 2 * high), 1e-6);
}

TEST(RouterKernel, AgreesWithItsTwinOnEveryIsa) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble})
      for (const int64_t E : {1, 6, 16, 33, 256})
        for (const bool given : {false, true}) {
          const ForceIsa force(isa);
          const int64_t K = std::min<int64_t>(E, 4);
          const Tensor logits = random_tensor({67, E}, "logits", dtype, 4), bias = random_tensor({E}, "bias", at::kFloat, 0.3), grad = random_tensor({67, K}, "grad", dtype);
          const Tensor ids = given ? std::get<1>(random_tensor({67, E}, "ids", dtype).sort(-1)).narrow(1, 0, K).contiguous() : Tensor();
          const RouterArgs args{.logits = logits, .bias = bias, .expert_ids = ids, .top_k = K, .routed_scale = 2.5};
          const RouterScores own = kernel<RouteKernel>(logits)(args), twin = reference::route(args);
          EXPECT_TRUE(same_bits(own.expert_ids, twin.expert_ids));
          EXPECT_TRUE(close(own.weights, twin.weights, pick(kRouter, dtype)));
          const RouterBackwardArgs back{.grad_weights = grad, .logits = logits, .expert_ids = twin.expert_ids, .routed_scale = 2.5};
          EXPECT_TRUE(close(kernel<RouteBackwardKernel>(logits)(back), reference::route_backward(back), E == 1 ? 1 : pick(kRouter, dtype)));   // E = 1: exactly 0
        }
}

TEST(SwigluKernel, TwinGradientIsAutogradsGradient) {
  for (const double limit : {0.0, 0.7})
    for (const bool weighted : {false, true}) {
      const Tensor gate_up = random_tensor({13, 10}, "gate_up", at::kDouble).requires_grad_();
      const Tensor weights = weighted ? random_tensor({13}, "p", at::kDouble).requires_grad_() : Tensor(), grad = random_tensor({13, 5}, "grad", at::kDouble);
      (reference::swiglu(gate_up, weights, limit) * grad).sum().backward();
      const SwigluGrad own = reference::swiglu_backward(grad, gate_up.detach(), weighted ? weights.detach() : Tensor(), limit);
      EXPECT_TRUE(close(own.gate_up, gate_up.grad(), kSwiglu.float64));
      if (weighted) {
        EXPECT_TRUE(close(own.row_weights, weights.grad(), kSwiglu.float64));
      }
    }
}

TEST(SwigluKernel, PassesTheGradientAtTheLimitAndNotAboveIt) {
  const Tensor gate_up = at::tensor({1.0, 1.0, 1.5, 0.5, -1.0, 1.5, 0.5, -1.5}, at::kFloat).view({1, 8}), ones = at::tensor({1.0, 1.0, 1.0, 1.0}, at::kFloat).view({1, 4});
  const Tensor passes = kernel<SwigluBackwardKernel>(ones)(ones, gate_up, {}, 1.0).gate_up.ne(0).to(at::kLong);
  EXPECT_TRUE(same_bits(passes, at::tensor({1, 1, 0, 1, 1, 0, 1, 0}, at::kLong).view({1, 8})));
}

TEST(SwigluKernel, AgreesWithItsTwinOnEveryIsaAndDtype) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
      for (const int64_t F : {1, 12, 64, 100})
        for (const double limit : {0.0, 1.0})
          for (const bool weighted : {false, true}) {
            const ForceIsa force(isa);
            const Tensor gate_up = random_tensor({131, 2 * F}, "gate_up", dtype, 2), grad = random_tensor({131, F}, "grad", dtype);
            const Tensor weights = weighted ? random_tensor({131}, "p", accumulate_dtype(dtype)) : Tensor();
            EXPECT_TRUE(close(kernel<SwigluKernel>(grad)(gate_up, weights, limit), reference::swiglu(gate_up, weights, limit), pick(kSwiglu, dtype)));
            const SwigluGrad own = kernel<SwigluBackwardKernel>(grad)(grad, gate_up, weights, limit), twin = reference::swiglu_backward(grad, gate_up, weights, limit);
            EXPECT_TRUE(close(own.gate_up, twin.gate_up, pick(kSwiglu, dtype)));
            if (weighted) {
              EXPECT_TRUE(close(own.row_weights, twin.row_weights, pick(kSwiglu, accumulate_dtype(dtype))));
            }
          }
}

// combine(dispatch(x)) is K x; rows lie by expert, inside an expert by token.
TEST(DispatchKernel, SortsByExpertAndCombinesBack) {
  const Tensor ids = at::tensor({2, 0, 1, 2, 0, 2}, at::kLong).view({3, 2});
  const LocalTokenDispatcher dispatcher;
  const RoutePlan plan = dispatcher.plan(ids, 4);
  EXPECT_EQ(plan.expert_offsets, (std::vector<int64_t>{0, 2, 3, 6, 6}));
  EXPECT_TRUE(same_bits(plan.row2slot, at::tensor({1, 4, 2, 0, 3, 5}, at::kLong)));
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
      const ForceIsa force(isa);
      const Tensor x = random_tensor({3, 37}, "x", dtype), extra = random_tensor({3, 37}, "extra", accumulate_dtype(dtype)), rows = random_tensor({6, 37}, "rows", dtype);
      EXPECT_TRUE(same_bits(dispatcher.dispatch(plan, x), reference::dispatch(plan, x)));
      EXPECT_TRUE(same_bits(dispatcher.combine(plan, dispatcher.dispatch(plan, x), {}), x * 2));
      EXPECT_TRUE(close(dispatcher.combine(plan, rows, extra), reference::combine(plan, rows, extra), pick(kRouter, dtype)));
    }
}

TEST(GroupedMatmul, AgreesWithItsTwinOnEveryIsaDtypeAndShape) {
  struct Case {
    std::vector<int64_t> offsets;
    int64_t out, in;
  };
  const std::vector<Case> cases = {{{0, 5}, 7, 9}, {{0, 0, 1, 40, 40, 163}, 33, 24}, {{0, 130}, 96, 64}, {{0, 17, 17}, 1, 1}, {{0, 70, 131}, 128, 513}};
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
      for (const Case& c : cases)
        for (const bool wide_out : {false, true}) {
          const ForceIsa force(isa);
          SCOPED_TRACE(std::string(isa_name(isa)) + " " + dtype_name(dtype) + " O " + std::to_string(c.out) + " I " + std::to_string(c.in));
          const int64_t N = c.offsets.back(), G = static_cast<int64_t>(c.offsets.size()) - 1;
          const at::ScalarType wide = accumulate_dtype(dtype), out_dtype = wide_out ? wide : dtype;
          const Tensor x = random_tensor({N, c.in}, "x", dtype), weight = random_tensor({G, c.out, c.in}, "w", dtype), grad_y = random_tensor({N, c.out}, "dy", dtype);
          EXPECT_TRUE(close(kernel<GroupedMatmul>(x)(x, weight, c.offsets, out_dtype), reference::grouped_matmul(x, weight, c.offsets, out_dtype), pick(kMatmul, out_dtype)));
          EXPECT_TRUE(close(kernel<GroupedMatmulGradInput>(x)(grad_y, weight, c.offsets, out_dtype),
                            reference::grouped_matmul_grad_input(grad_y, weight, c.offsets, out_dtype), pick(kMatmul, out_dtype)));
          const Tensor own = random_tensor({G, c.out, c.in}, "dw", wide), twin = own.clone();
          for (const bool add : {true, false}) {
            if (!add) own.fill_(std::nan(""));   // groups without rows must be written too
            kernel<GroupedMatmulGradWeight>(x)(grad_y, x, c.offsets, own, add);
            reference::grouped_matmul_grad_weight(grad_y, x, c.offsets, twin, add);
            EXPECT_TRUE(close(own, twin, pick(kMatmul, wide)));
          }
        }
}

TEST(GroupedMatmul, SeveralInOneCallHaveTheBitsOfEachAlone) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
      for (const int64_t T : {3, 40}) {   // products with few rows only, and a mix
        const ForceIsa force(isa);
        const Tensor rows = random_tensor({9, 24}, "rows", dtype), experts = random_tensor({3, 10, 24}, "experts", dtype);
        const Tensor x = random_tensor({T, 24}, "x", dtype), shared = random_tensor({1, 14, 24}, "shared", dtype);
        const std::vector<GroupedPart> parts{{rows, experts, {0, 4, 4, 9}}, {x, shared, {0, T}}};
        const std::vector<Tensor> y = kernel<GroupedMatmuls>(rows)(parts, dtype), twins = reference::grouped_matmuls(parts, dtype);
        ASSERT_EQ(y.size(), 2u);
        for (size_t i = 0; i < 2; ++i) {
          EXPECT_TRUE(same_bits(y[i], kernel<GroupedMatmul>(rows)(parts[i].x, parts[i].weight, parts[i].offsets, dtype))) << isa_name(isa) << " " << dtype_name(dtype) << " " << T;
          EXPECT_TRUE(close(y[i], twins[i], pick(kMatmul, dtype)));
        }
      }
}

TEST(CrossEntropyKernel, AgreesWithItsTwinAndAutograd) {
  const Tensor targets = at::tensor({3, 0, 36, 17, 17}, at::kLong), grad = random_tensor({5}, "grad", at::kDouble);
  const Tensor logits = random_tensor({5, 37}, "logits", at::kDouble, 5).requires_grad_();
  const auto [logprobs, lse] = reference::target_logprobs(logits, targets);
  (logprobs * grad).sum().backward();
  EXPECT_TRUE(close(reference::target_logprobs_backward(grad, logits.detach(), targets, lse.detach(), at::kDouble), logits.grad(), kCrossEntropy.float64));
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
      const ForceIsa force(isa);
      const Tensor z = logits.detach().to(dtype), g = grad.to(dtype);
      const auto [own, own_lse] = kernel<TargetLogprobs>(z)(z, targets);
      EXPECT_TRUE(close(own, logprobs.detach(), pick(kCrossEntropy, dtype)));
      for (const at::ScalarType out : {dtype, at::kBFloat16})
        EXPECT_TRUE(close(kernel<TargetLogprobsBackward>(z)(g, z.clone(), targets, own_lse, out),
                          reference::target_logprobs_backward(g, z, targets, own_lse, out), pick(kCrossEntropy, out)));
    }
}

}  // namespace
}  // namespace temper
