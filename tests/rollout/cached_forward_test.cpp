#include "rollout/cached_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/golden.h"
#include "support/one_thread.h"
#include "support/tensors.h"

namespace temper {
namespace {

using test::Golden;

std::vector<int64_t> part(const std::vector<int64_t>& ids, size_t begin, size_t end) {
  return {ids.begin() + static_cast<int64_t>(begin), ids.begin() + static_cast<int64_t>(std::min(end, ids.size()))};
}

// Feeds one row in chunks of these sizes (the last one repeats) and returns the logits of all positions.
Tensor in_chunks(const CachedForward& forward, KvCache& cache, int64_t slot, const std::vector<int64_t>& ids, const std::vector<size_t>& sizes) {
  std::vector<Tensor> logits;
  size_t at = 0;
  for (size_t i = 0; at < ids.size(); ++i) {
    const size_t n = sizes[std::min(i, sizes.size() - 1)];
    logits.push_back(forward.logits(cache, {{slot, part(ids, at, at + n)}}, LogitsOf::kAllTokens));
    at += n;
  }
  return at::cat(logits);
}

class CachedForwardTest : public testing::TestWithParam<std::string> {
  test::OneThread one_thread_;
};

// Oracle: transformers' logits of the whole row at once (tests/golden).  The rows cross the borders of blocks of 4 and 128, of
// the window, and of index_top_k.
TEST_P(CachedForwardTest, TokenByTokenEqualsTheFullForwardPass) {
  const Golden golden = test::load_golden(GetParam());
  const ModelWeights weights = test::golden_weights(golden, at::kFloat);
  const CachedForward forward(weights);
  const auto rows = golden.input_ids();
  KvCache cache(golden.config, {.n_slots = 1, .max_tokens = static_cast<int64_t>(rows[0].size()), .max_chunk = 1});
  const Tensor logits = in_chunks(forward, cache, 0, rows[0], {1});
  const Tensor wanted = golden.tensors.at("logits")[0];
  EXPECT_LT(test::relative_error(logits, wanted), test::kModelLogits.float32);
  EXPECT_LT((logits - wanted).abs().max().item<double>(), 1e-4);
  EXPECT_TRUE(logits.argmax(-1).equal(wanted.argmax(-1)));
}

TEST_P(CachedForwardTest, ChunksOfAnySizeEqualTheFullForwardPass) {
  const Golden golden = test::load_golden(GetParam());
  const ModelWeights weights = test::golden_weights(golden, at::kFloat);
  const CachedForward forward(weights);
  const auto rows = golden.input_ids();
  const int64_t longest = static_cast<int64_t>(rows[0].size());
  for (const std::vector<size_t>& sizes : std::vector<std::vector<size_t>>{{512}, {1, 2, 3, 5, 7, 50, 1}, {127, 1, 2}, {100, 1}}) {
    KvCache cache(golden.config, {.n_slots = 1, .max_tokens = longest, .max_chunk = 512});
    EXPECT_LT(test::relative_error(in_chunks(forward, cache, 0, rows[0], sizes), golden.tensors.at("logits")[0]), test::kModelLogits.float32);
  }
}

TEST_P(CachedForwardTest, InBfloat16ItStaysAsCloseAsTransformersItself) {
  const Golden golden = test::load_golden(GetParam());
  const ModelWeights weights = test::golden_weights(golden, at::kBFloat16);
  const CachedForward forward(weights);
  const auto rows = golden.input_ids();
  KvCache cache(golden.config, {.n_slots = 1, .max_tokens = static_cast<int64_t>(rows[0].size()), .max_chunk = 64, .dtype = at::kBFloat16});
  const double error = test::relative_error(in_chunks(forward, cache, 0, rows[0], {5, 64, 1}), golden.tensors.at("logits")[0]);
  EXPECT_LT(error, test::kBfloat16Factor * golden.expected.at("transformers_bf16_error").at("logits").get<double>());
}

INSTANTIATE_TEST_SUITE_P(Golden, CachedForwardTest, testing::ValuesIn(test::golden_names()), [](const auto& info) { return info.param; });

TEST(CachedForward, ABatchOfUnequalSequencesEqualsEachAlone) {
  const test::OneThread one_thread;
  const Golden golden = test::load_golden("mixed");
  const ModelWeights weights = test::golden_weights(golden, at::kFloat);
  const CachedForward forward(weights);
  const auto rows = golden.input_ids();
  // Three sequences that start at different steps, one of them in a slot that was used before.
  const std::vector<std::vector<int64_t>> sequences{rows[0], part(rows[1], 0, 70), part(rows[1], 30, 131)};
  const std::vector<size_t> start{0, 3, 9};
  KvCache cache(golden.config, {.n_slots = 3, .max_tokens = 141, .max_chunk = 16});
  forward.logits(cache, {{2, part(rows[0], 50, 60)}});
  cache.reset(2);
  std::vector<std::vector<Tensor>> found(3);
  std::vector<size_t> at(3, 0);
  for (size_t step = 0; step < 200; ++step) {
    std::vector<SlotTokens> chunks;
    for (size_t s = 0; s < 3; ++s) {
      if (step < start[s] || at[s] >= sequences[s].size()) continue;
      const size_t n = at[s] == 0 ? 6 + 2 * s : 1;   // a prompt, then single tokens
      chunks.push_back({static_cast<int64_t>(s), part(sequences[s], at[s], at[s] + n)});
    }
    if (chunks.empty()) break;
    Tensor logits = forward.logits(cache, chunks, LogitsOf::kAllTokens);
    int64_t row = 0;
    for (const SlotTokens& chunk : chunks) {
      const int64_t n = static_cast<int64_t>(chunk.token_ids.size());
      found[static_cast<size_t>(chunk.slot)].push_back(logits.narrow(0, row, n));
      at[static_cast<size_t>(chunk.slot)] += static_cast<size_t>(n);
      row += n;
    }
  }
  EXPECT_LT(test::relative_error(at::cat(found[0]), golden.tensors.at("logits")[0]), test::kModelLogits.float32);
  for (size_t s = 1; s < 3; ++s) {
    KvCache alone(golden.config, {.n_slots = 1, .max_tokens = 141, .max_chunk = 512});
    EXPECT_LT(test::relative_error(at::cat(found[s]), in_chunks(forward, alone, 0, sequences[s], {512})), test::kModelLogits.float32) << s;
  }
}

TEST(KvCache, MemoryOfWindowAndPendingRowsDoesNotGrowWithTheLength) {
  const Golden golden = test::load_golden("mixed");
  const auto bytes = [&](int64_t max_tokens) { return KvCache(golden.config, {.n_slots = 1, .max_tokens = max_tokens, .max_chunk = 64}).bytes(); };
  // Per 128 tokens: 32 entries of each ratio-4 layer (16 wide, its index keys 8), one of the ratio-128 layer, 4 bytes each.
  EXPECT_EQ(bytes(4096) - bytes(2048), 2048 / 128 * (2 * 32 * (16 + 8) + 16) * 4);
}

}  // namespace
}  // namespace temper
