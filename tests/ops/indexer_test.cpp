// Selection by hand-made scores, and the FP4 path.

#include "ops/indexer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "kernels/cpu/isa.h"
#include "support/expect_error.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

Tensor tensor_of(const std::vector<double>& values, at::ScalarType dtype = at::kFloat) {
  Tensor t = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  std::copy(values.begin(), values.end(), t.mutable_data_ptr<double>());
  return t.to(dtype);
}

// One query whose score of entry s is scores[s]: one head with query 1, key |score| and a second one for negative scores.
std::vector<int> select(const std::vector<double>& scores, int64_t begin, int64_t end, int64_t top_k) {
  Tensor keys = at::zeros({static_cast<int64_t>(scores.size()), 2});
  for (size_t s = 0; s < scores.size(); ++s) keys[static_cast<int64_t>(s)][scores[s] < 0 || std::signbit(scores[s]) ? 1 : 0] = std::abs(scores[s]);
  Tensor q = at::zeros({1, 2, 2});
  q[0][0][0] = 1, q[0][1][1] = 1;
  const IndexerInputs inputs{.q = q, .keys = keys, .weights = tensor_of({1, -1}).view({1, 2}), .entry_begin = tensor_of({double(begin)}, at::kLong),
                             .entry_end = tensor_of({double(end)}, at::kLong), .max_entries = end - begin};
  const Tensor selected = kernel<IndexerSelect>(q)(inputs, top_k);
  const Tensor twin = reference::indexer_select(inputs, top_k);
  EXPECT_TRUE(same_bits(selected, twin));
  return {selected.const_data_ptr<int>(), selected.const_data_ptr<int>() + selected.numel()};
}

TEST(IndexerSelect, TakesTheHighestScoresInAscendingOrder) {
  EXPECT_EQ(select({0.5, 3, 1, 2, -1}, 0, 5, 2), (std::vector{1, 3}));
  EXPECT_EQ(select({9, 0.5, 3, 1, 2, 9}, 1, 5, 2), (std::vector{2, 4}));   // only what is visible
}

TEST(IndexerSelect, TakesTheLowerEntryOfEqualScores) {
  EXPECT_EQ(select({1, 2, 1, 2, 1, 1}, 0, 6, 3), (std::vector{0, 1, 3}));
  EXPECT_EQ(select({0, 0, 0, 0, 0, 0}, 0, 6, 2), (std::vector{0, 1}));
  EXPECT_EQ(select({-0.0, 0.0, -0.0, -1, 0.0}, 0, 5, 3), (std::vector{0, 1, 2}));   // +0 equals -0
}

TEST(IndexerSelect, MarksMissingEntriesAndTakesAllWhereFewAreVisible) {
  const Tensor q = at::ones({3, 1, 1}), keys = at::ones({4, 1}), weights = at::ones({3, 1});
  const IndexerInputs inputs{.q = q, .keys = keys, .weights = weights, .entry_begin = tensor_of({0, 0, 2}, at::kLong), .entry_end = tensor_of({0, 2, 4}, at::kLong),
                             .max_entries = 4};
  const Tensor selected = kernel<IndexerSelect>(q)(inputs, 3);
  EXPECT_TRUE(same_bits(selected, tensor_of({-1, -1, -1, 0, 1, -1, 2, 3, -1}, at::kInt).view({3, 3})));
}

TEST(IndexerSelect, PutsNotANumberLast) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(select({nan, 1, -5, nan, 2}, 0, 5, 3), (std::vector{1, 2, 4}));
}

TEST(IndexerSelect, AgreesWithItsTwinOnEveryIsaAndDtype) {
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
      const ForceIsa force(isa);
      const EntryTable table = DocumentLayout::make({3, 150, 401}).entries(4);
      const int64_t T = 554;
      // Few heads: many scores are exactly zero, so ties at the K-th place are common.
      const IndexerInputs inputs{.q = random_tensor({T, 3, 24}, "q", dtype), .keys = random_tensor({table.n_entries, 24}, "k", dtype),
                                 .weights = random_tensor({T, 3}, "w", accumulate_dtype(dtype)), .entry_begin = table.begin, .entry_end = table.end,
                                 .max_entries = table.max_entries};
      const Tensor selected = kernel<IndexerSelect>(inputs.q)(inputs, 16), twin = reference::indexer_select(inputs, 16);
      // Scores summed in another order may swap neighbours at the K-th place: the sums of the chosen scores must agree.
      const Tensor scores = reference::indexer_scores(inputs).masked_fill(reference::indexer_scores(inputs) < -1e30, 0);
      const auto total = [&](const Tensor& chosen) {
        const Tensor local = (chosen.to(at::kLong) - table.begin.unsqueeze(-1)).clamp_min(0);
        return scores.gather(1, local).masked_fill(chosen < 0, 0).sum(-1);
      };
      EXPECT_TRUE(close(total(selected), total(twin), 1e-6));
      EXPECT_LE((selected != twin).any(-1).sum().item<int64_t>(), 2);
    }
}

TEST(Hadamard, IsItsOwnInverseAndKeepsDotProducts) {
  const Tensor a = random_tensor({5, 64}, "a", at::kDouble), b = random_tensor({7, 64}, "b", at::kDouble);
  EXPECT_TRUE(close(hadamard(hadamard(a)), a, 1e-14));
  EXPECT_TRUE(close(at::matmul(hadamard(a), hadamard(b).t()), at::matmul(a, b.t()), 1e-13));
  EXPECT_TRUE(close(hadamard(tensor_of({1, 0, 0, 0})), tensor_of({0.5, 0.5, 0.5, 0.5}), 0));
}

TEST(Fp4Path, RoundsTheTransformedVectorsAndRejectsOtherWidths) {
  // (1, 1, ...) transforms to (sqrt(32), 0, ...) = (5.657, 0, ...), which rounds to 6 under the scale 1.
  Tensor first = at::zeros({1, 32});
  first[0][0] = 6;
  EXPECT_TRUE(close(round_fp4_path(at::ones({1, 32})), first, 0));
  const Tensor x = random_tensor({9, 3, 64}, "x");
  EXPECT_LE(relative_error(hadamard(round_fp4_path(x)), x), 0.15);   // steps of 1/8 to 1/3 of a value, half of that at most
  EXPECT_ERROR(round_fp4_path(at::zeros({2, 48})), ErrorKind::kConfig, "power of two");
}

}  // namespace
}  // namespace temper
