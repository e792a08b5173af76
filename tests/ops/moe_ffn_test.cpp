// The mixture of experts against a plain twin (every expert on every token, chosen by a weight matrix) and its autograd
// gradient, over the product of modes; the balance loss against autograd and by hand.

#include "ops/moe_ffn.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

struct Modes {
  at::ScalarType dtype;
  bool hash;
  int64_t shared_width;   // 0 = no shared expert
  double limit;
  int64_t top_k;
};

Tensor expert(const Tensor& u, const Tensor& w13, const Tensor& w2, const Tensor& weights, double limit) {
  const int64_t F = w2.size(1);
  Tensor gate = at::matmul(u, w13.narrow(0, 0, F).t()), up = at::matmul(u, w13.narrow(0, F, F).t());
  if (limit > 0) {
    gate = at::clamp_max(gate, limit);
    up = at::clamp(up, -limit, limit);
  }
  return at::matmul(weights * at::silu(gate) * up, w2.t());
}

TEST(MoeFfn, AgreesWithEveryExpertOnEveryTokenOverAllModes) {
  constexpr int64_t T = 23, D = 20, E = 5, F = 12, V = 31;
  const LocalTokenDispatcher dispatcher;
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kBFloat16})
    for (const bool hash : {false, true})
      for (const int64_t shared_width : {0, 12, 24})
        for (const double limit : {0.0, 0.8})
          for (const int64_t top_k : {1, 3, 5}) {
            SCOPED_TRACE(dtype_name(dtype) + (hash ? " hash" : " learned") + " shared " + std::to_string(shared_width) + " limit " + std::to_string(limit) + " K " + std::to_string(top_k));
            const at::ScalarType wide = accumulate_dtype(dtype);
            const auto weight = [&](at::IntArrayRef shape, const char* name, at::ScalarType type) {
              const Tensor value = random_tensor(shape, name, type, 0.4);
              return Weight{value, at::zeros(shape, wide)};
            };
            const Tensor u = random_tensor({T, D}, "u", dtype), grad = random_tensor({T, D}, "grad", dtype);
            MoeFfnWeights w{.router = {.weight = weight({E, D}, "router", wide), .bias = hash ? Tensor() : random_tensor({E}, "bias", at::kFloat), .tid2eid = {}},
                            .w13 = weight({E, 2 * F, D}, "w13", dtype), .w2 = weight({E, D, F}, "w2", dtype), .shared_w13 = {}, .shared_w2 = {}};
            std::vector<int64_t> ids, table;
            for (int64_t t = 0; t < T; ++t) ids.push_back((t * 7) % V);
            for (int64_t token = 0; token < V; ++token)
              for (int64_t k = 0; k < top_k; ++k) table.push_back((token + 2 * k) % E);
            const Tensor token_ids = at::tensor(ids, at::kLong);
            if (hash) w.router.tid2eid = at::tensor(table, at::kLong).view({V, top_k});
            if (shared_width > 0) {
              w.shared_w13 = weight({2 * shared_width, D}, "shared_w13", dtype);
              w.shared_w2 = weight({D, shared_width}, "shared_w2", dtype);
            }
            const MoeFfnConfig config{.router = {.top_k = top_k, .routed_scale = 1.5}, .swiglu_limit = limit};
            const MoeFfnForward own = moe_ffn(u, token_ids, w, config, dispatcher);
            const Tensor own_grad = moe_ffn_backward({.grad_out = grad, .grad_router_logits = {}, .u = u, .saved = own.saved}, w, config, dispatcher);

            const auto leaf = [](const Tensor& value) { return value.to(at::kDouble).clone().requires_grad_(); };
            const Tensor x = leaf(u), router = leaf(w.router.weight.value), w13 = leaf(w.w13.value), w2 = leaf(w.w2.value);
            const Tensor scores = at::sqrt(at::softplus(at::matmul(x, router.t())));
            const Tensor chosen = at::zeros_like(scores).scatter(1, own.saved.routing.expert_ids, 1.0);   // the selection is tested with the router
            const Tensor weights = 1.5 * chosen * scores / (chosen * scores).sum(1, true);
            Tensor out = at::zeros({T, D}, at::kDouble), s13, s2;
            for (int64_t e = 0; e < E; ++e) out = out + expert(x, w13[e], w2[e], weights.narrow(1, e, 1), limit);
            if (shared_width > 0) {
              s13 = leaf(w.shared_w13.value), s2 = leaf(w.shared_w2.value);
              out = out + expert(x, s13, s2, at::tensor(1.0, at::kDouble), limit);
            }
            (out * grad.to(at::kDouble)).sum().backward();

            EXPECT_TRUE(close(own.out, out.detach(), pick(kMoe, dtype)));
            EXPECT_TRUE(close(own_grad, x.grad(), pick(kMoeGrad, dtype)));
            if (top_k > 1) {   // one expert has weight 1.5 whatever the router says
              EXPECT_TRUE(close(w.router.weight.grad, router.grad(), pick(kMoeGrad, dtype)));
            }
            EXPECT_TRUE(close(w.w13.grad, w13.grad(), pick(kMoeGrad, dtype)));
            EXPECT_TRUE(close(w.w2.grad, w2.grad(), pick(kMoeGrad, dtype)));
            if (shared_width > 0) {
              EXPECT_TRUE(close(w.shared_w13.grad, s13.grad(), pick(kMoeGrad, dtype)));
              EXPECT_TRUE(close(w.shared_w2.grad, s2.grad(), pick(kMoeGrad, dtype)));
            }
          }
}

TEST(BalanceLoss, IsTheSequenceWiseFormulaWithAutogradsGradient) {
  constexpr int64_t E = 6, K = 2;
  const std::vector<int64_t> lengths = {7, 1, 12};
  const Tensor logits = random_tensor({20, E}, "logits", at::kDouble, 2).requires_grad_();
  const Tensor ids = std::get<1>(logits.detach().topk(K));
  const BalanceLoss own = balance_loss({.logits = logits.detach(), .expert_ids = ids, .weights = {}}, lengths, 0.25);
  const Tensor scores = at::sqrt(at::softplus(logits)), share = scores / scores.sum(1, true);
  Tensor sum = at::zeros({}, at::kDouble);
  int64_t start = 0;
  for (const int64_t length : lengths) {
    const Tensor counts = at::zeros({length, E}, at::kDouble).scatter(1, ids.narrow(0, start, length), 1.0).sum(0);
    sum = sum + static_cast<double>(length) * (counts * (static_cast<double>(E) / static_cast<double>(K * length)) * share.narrow(0, start, length).mean(0)).sum();
    start += length;
  }
  sum.backward();
  EXPECT_NEAR(own.sum.item<double>(), sum.item<double>(), 1e-12);
  EXPECT_TRUE(close(own.grad_logits, logits.grad() * 0.25, kRouter.float64));
}

TEST(BalanceLoss, IsOneForEqualScoresAndEqualLoad) {
  const Tensor logits = at::zeros({6, 3}, at::kFloat), ids = at::tensor({0, 1, 2, 0, 1, 2}, at::kLong).view({6, 1});
  EXPECT_NEAR(balance_loss({.logits = logits, .expert_ids = ids, .weights = {}}, {6}, 1).sum.item<double>() / 6, 1, 1e-6);
}

TEST(HashRouting, TableFaultsNameTheTokenAndTheExpert) {
  const Tensor table = at::tensor({0, 1, 2, 2, 3, 0}, at::kLong).view({3, 2});
  EXPECT_ERROR(check_tid2eid(table, 4, "layers.0.ffn.gate.tid2eid"), ErrorKind::kCheckpoint, "layers.0.ffn.gate.tid2eid names expert 2 twice for token 1");
  EXPECT_ERROR(check_tid2eid(table.narrow(0, 2, 1), 3, "t"), ErrorKind::kCheckpoint, "t names expert 3 for token 0, experts are 0 to 2");
  check_tid2eid(table.narrow(0, 0, 1), 2, "t");
}

}  // namespace
}  // namespace temper
