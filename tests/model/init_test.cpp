#include "model/deepseek_v4/init.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace temper {
namespace {

ModelConfig small() {
  ModelConfig c;
  c.vocab_size = 100;
  c.hidden_size = 64;
  c.n_layers = 2;
  c.n_heads = 4;
  c.head_dim = 16;
  c.rope_head_dim = 4;
  c.q_lora_rank = 32;
  c.o_groups = 2;
  c.o_lora_rank = 8;
  c.n_routed_experts = 8;
  c.top_k = 3;
  c.moe_intermediate_size = 32;
  c.n_hash_layers = 1;
  c.compress_ratios = {0, 4, 0};
  c.index_n_heads = 2;
  c.index_head_dim = 8;
  return c;
}

TEST(Init, FollowsTheTableOfClasses) {
  ModelWeights weights(small(), {});
  initialise(weights, {.seed = 1, .std = 0.02});
  for (const Parameter& p : weights.parameters()) {
    if (p.row.optimizer == OptimizerClass::kConstant) continue;
    const double mean = p.master.mean().item<double>(), rms = std::sqrt(p.master.square().mean().item<double>());
    const double n = static_cast<double>(p.master.numel());
    if (p.row.name.ends_with("norm.weight")) EXPECT_EQ(rms, 1.0) << p.row.name;
    else if (p.row.name.ends_with("_scale")) EXPECT_NEAR(rms, 0.01, 1e-9) << p.row.name;
    else if (p.row.optimizer == OptimizerClass::kMatrix || p.row.optimizer == OptimizerClass::kEmbedding) {
      EXPECT_NEAR(rms, 0.02, 0.02 * 5 / std::sqrt(2 * n)) << p.row.name;   // five standard errors
      EXPECT_NEAR(mean, 0.0, 0.02 * 5 / std::sqrt(n)) << p.row.name;
    } else EXPECT_EQ(rms, 0.0) << p.row.name;
  }
}

TEST(Init, HashTableRowsAreDistinctAndLoadsAreEqual) {
  ModelWeights weights(small(), {});
  initialise(weights, {.seed = 1});
  const Tensor table = weights.parameter("layers.0.ffn.gate.tid2eid").master;
  std::vector<int64_t> load(8, 0);
  std::set<std::vector<int64_t>> sets;
  for (int64_t token = 0; token < table.size(0); ++token) {
    std::vector<int64_t> row;
    for (int64_t k = 0; k < 3; ++k) row.push_back(table[token][k].item<int64_t>());
    for (const int64_t e : row) ++load[static_cast<size_t>(e)];
    EXPECT_EQ(std::set(row.begin(), row.end()).size(), 3u);
    std::sort(row.begin(), row.end());
    sets.insert(row);
  }
  EXPECT_LE(*std::max_element(load.begin(), load.end()) - *std::min_element(load.begin(), load.end()), 1);
  EXPECT_GT(sets.size(), 30u);   // of 56 possible subsets: not a short cycle
}

TEST(Init, DependsOnTheSeedAndTheTensorsName) {
  ModelWeights a(small(), {}), b(small(), {}), c(small(), {});
  initialise(a, {.seed = 1});
  initialise(b, {.seed = 1});
  initialise(c, {.seed = 2});
  const char* name = "layers.1.ffn.experts.3.w1.weight";
  EXPECT_TRUE(at::equal(a.parameter(name).master, b.parameter(name).master));
  EXPECT_FALSE(at::equal(a.parameter(name).master, c.parameter(name).master));
  EXPECT_FALSE(at::equal(a.parameter(name).master, a.parameter("layers.1.ffn.experts.3.w3.weight").master));
}

}  // namespace
}  // namespace temper
