#include "objective/sft.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

Tensor longs(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }
constexpr int64_t kNone = kIgnoredLabel;

// Documents of 3, 1 and 4 tokens, by hand: the last position of a document predicts nothing, a first label is no target.
TEST(ShiftedTargets, StayInsideTheirDocument) {
  Batch batch{.token_ids = longs({10, 11, 12, 20, 30, 31, 32, 33}), .labels = {}, .label_weights = {}, .document_lengths = {3, 1, 4}};
  EXPECT_TRUE(same_bits(shifted_targets(batch, 40).ids, longs({11, 12, kNone, kNone, 31, 32, 33, kNone})));
  EXPECT_TRUE(same_bits(shifted_targets(batch, 40, 2).ids, longs({12, kNone, kNone, kNone, 32, 33, kNone, kNone})));
  EXPECT_EQ(shifted_targets(batch, 40).n_targets, 5);
  batch.labels = longs({10, kNone, 12, 20, 30, 31, kNone, 33});
  batch.label_weights = at::tensor({9.0, 9.0, 0.5, 9.0, 9.0, 2.0, 9.0, 0.25}, at::kFloat);
  const Targets targets = shifted_targets(batch, 40);
  EXPECT_TRUE(same_bits(targets.ids, longs({kNone, 12, kNone, kNone, 31, kNone, 33, kNone})));
  EXPECT_TRUE(same_bits(targets.weights, at::tensor({0.0, 0.5, 0.0, 0.0, 2.0, 0.0, 0.25, 0.0}, at::kFloat)));
  EXPECT_EQ(targets.n_targets, 3);
  EXPECT_EQ(targets.weight_sum, 2.75);
}

TEST(ShiftedTargets, LabelsOutsideTheVocabularyAreErrors) {
  const Batch batch{.token_ids = longs({1, 2, 3}), .labels = longs({1, 7, 3}), .label_weights = {}, .document_lengths = {3}};
  EXPECT_ERROR(shifted_targets(batch, 7), ErrorKind::kData, "label 7 at position 1 is outside the vocabulary of 7");
}

TEST(SftLoss, IsTheWeightedSumWithAutogradsGradient) {
  const Batch batch{.token_ids = longs({1, 2, 3, 4, 5}), .labels = longs({1, 2, kNone, 4, 5}), .label_weights = at::tensor({1.0, 2.0, 1.0, 0.5, 1.5}, at::kFloat), .document_lengths = {5}};
  const Weight head{random_tensor({6, 4}, "head", at::kDouble), at::zeros({6, 4}, at::kDouble)};
  const Tensor hidden = random_tensor({5, 4}, "hidden", at::kDouble);
  const SftLoss own = sft_loss(hidden, head, shifted_targets(batch, 6), 0.125);

  const Tensor x = hidden.clone().requires_grad_(), w = head.value.clone().requires_grad_();
  const Tensor nll = -at::log_softmax(at::matmul(x, w.t()), -1);
  const Tensor sum = 2.0 * nll[0][2] + 0.5 * nll[2][4] + 1.5 * nll[3][5];
  (sum * 0.125).backward();
  EXPECT_NEAR(own.loss_sum, sum.item<double>(), 1e-12);
  EXPECT_TRUE(close(own.grad_hidden, x.grad(), kHeadGrad.float64));
  EXPECT_TRUE(close(head.grad, w.grad(), kHeadGrad.float64));
  EXPECT_NEAR(sft_loss_only(hidden, head.value, shifted_targets(batch, 6)).loss_sum, own.loss_sum, 1e-12);
}

TEST(SftLoss, WithoutTargetsIsZeroWithZeroGradients) {
  const Batch batch{.token_ids = longs({1, 2}), .labels = longs({1, kNone}), .label_weights = {}, .document_lengths = {2}};
  const Weight head{random_tensor({6, 4}, "head"), at::zeros({6, 4})};
  const SftLoss own = sft_loss(random_tensor({2, 4}, "hidden"), head, shifted_targets(batch, 6), 1.0);
  EXPECT_EQ(own.loss_sum, 0);
  EXPECT_TRUE(same_bits(own.grad_hidden, at::zeros({2, 4})));
  EXPECT_TRUE(same_bits(head.grad, at::zeros({6, 4})));
}

}  // namespace
}  // namespace temper
