// The CPU loss of the indexer against its composite twin (whose gradients tests/ops checks by autograd and differences).

#include "kernels/indexer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "kernels/cpu/isa.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

struct Problem {
  IndexerInputs inputs;
  AttentionTrace trace;
};

// Documents of the given lengths with entries of 4 tokens; the indexer chooses top_k of them, 0 = all.
Problem make_problem(int64_t index_heads, int64_t index_dim, int64_t top_k, const std::vector<int64_t>& documents, at::ScalarType dtype) {
  std::vector<int64_t> window_begin, window_end, begin, end;
  int64_t start = 0, entry_start = 0, longest = 0;
  for (const int64_t length : documents) {
    for (int64_t t = 0; t < length; ++t) {
      window_begin.push_back(start + std::max<int64_t>(0, t - 4));
      window_end.push_back(start + t + 1);
      begin.push_back(entry_start);
      end.push_back(entry_start + (t + 1) / 4);
    }
    start += length, entry_start += length / 4, longest = std::max(longest, length / 4);
  }
  const auto tensor = [](const std::vector<int64_t>& values) {
    Tensor t = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
    std::copy(values.begin(), values.end(), t.mutable_data_ptr<int64_t>());
    return t;
  };
  Problem p;
  p.inputs = {.q = random_tensor({start, index_heads, index_dim}, "iq", dtype), .keys = random_tensor({entry_start, index_dim}, "ik", dtype),
              .weights = random_tensor({start, index_heads}, "iw", accumulate_dtype(dtype), 0.3), .entry_begin = tensor(begin), .entry_end = tensor(end),
              .max_entries = longest};
  p.trace = {.q = random_tensor({start, 6, 24}, "q", dtype), .lse = {},
             .keys = {.window = random_tensor({start, 24}, "w", dtype), .window_begin = tensor(window_begin), .window_end = tensor(window_end), .max_window = 5,
                      .entries = random_tensor({entry_start, 24}, "e", dtype), .entry_begin = p.inputs.entry_begin, .entry_end = p.inputs.entry_end,
                      .max_entries = longest, .selected = {}},
             .scale = 0.2};
  if (top_k > 0 && longest > top_k) p.trace.keys.selected = reference::indexer_select(p.inputs, top_k);
  p.trace.lse = reference::sink_attention(p.trace.q, p.trace.keys, random_tensor({6}, "sink", dtype), 0.2).lse;
  return p;
}

TEST(IndexerLossKernel, AgreesWithItsTwinOnEveryIsaAndDtype) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
    for (const auto& [heads, dim, top_k] : {std::tuple<int64_t, int64_t, int64_t>{4, 32, 0}, {4, 32, 5}, {17, 20, 3}, {1, 7, 4}}) {
      const Problem p = make_problem(heads, dim, top_k, {50, 3, 33}, dtype);
      const IndexerLossOutput twin = reference::indexer_loss(p.inputs, p.trace);
      for (const Isa isa : available_isas()) {
        const ForceIsa force(isa);
        SCOPED_TRACE(fmt::format("{} {} heads {} dim {} top_k {}", isa_name(isa), dtype_name(dtype), heads, dim, top_k));
        const IndexerLossOutput out = kernel<IndexerLoss>(p.inputs.q)(p.inputs, p.trace);
        const double bound = 10 * pick(kAttentionCoreGrad, accumulate_dtype(dtype));   // a difference of two distributions
        EXPECT_TRUE(close(out.loss, twin.loss, bound));
        EXPECT_TRUE(close(out.grad_q, twin.grad_q, dtype == at::kBFloat16 ? kAttentionCoreGrad.bfloat16 : bound));
        EXPECT_TRUE(close(out.grad_keys, twin.grad_keys, bound));
        EXPECT_TRUE(close(out.grad_weights, twin.grad_weights, bound));
        EXPECT_EQ(out.grad_q.scalar_type(), dtype);
      }
    }
}

// Small whole numbers: scores are exact in every order of summation, and many are equal.
Tensor whole_numbers(const Tensor& x) { return (to_accumulate(x) * 2).round().clamp(-3, 3).to(x.scalar_type()); }

TEST(IndexerSelectKernel, KeepsTheBestOfManyEntriesInOrderAndTheLowerOfEqualOnes) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
    for (const int64_t top_k : {int64_t{1}, int64_t{7}, int64_t{40}}) {
      Problem p = make_problem(3, 16, 0, {1900, 3, 700}, dtype);
      p.inputs.q = whole_numbers(p.inputs.q);
      p.inputs.keys = whole_numbers(p.inputs.keys);
      p.inputs.weights = whole_numbers(p.inputs.weights);
      // The second document's scores rise with the entry: every key beats all before it.
      const Tensor rising = p.inputs.keys.narrow(0, 1900 / 4, 700 / 4);
      rising.zero_();
      for (int64_t i = 0; i < rising.size(0); ++i) rising.select(0, i).select(0, 0).fill_(static_cast<double>(i));
      p.inputs.weights.narrow(0, 1903, 700).fill_(1);
      const Tensor twin = reference::indexer_select(p.inputs, top_k);
      for (const Isa isa : available_isas()) {
        const ForceIsa force(isa);
        SCOPED_TRACE(fmt::format("{} {} top_k {}", isa_name(isa), dtype_name(dtype), top_k));
        EXPECT_TRUE(same_bits(kernel<IndexerSelect>(p.inputs.q)(p.inputs, top_k), twin));
      }
    }
}

TEST(IndexerSelectKernel, TakesNanForTheLowestScore) {
  const Problem p = make_problem(2, 16, 0, {400}, at::kFloat);
  p.inputs.keys.select(0, 3).fill_(std::numeric_limits<double>::quiet_NaN());
  const Tensor selected = kernel<IndexerSelect>(p.inputs.q)(p.inputs, 5);
  EXPECT_EQ((selected.narrow(0, 30, 370) == 3).sum().item<int64_t>(), 0);
}

}  // namespace
}  // namespace temper
