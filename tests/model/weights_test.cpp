#include "model/deepseek_v4/weights.h"

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include "test_places.h"

namespace temper {
namespace {

ModelConfig miniature() { return read_model_config(fs::path(TEMPER_SOURCE_DIR) / "configs/model/v4_12m.json"); }

TEST(ModelWeights, ExpertsAreViewsIntoOneStorage) {
  const ModelConfig config = miniature();
  ModelWeights weights(config, {});
  const Weight& w13 = weights.weight("layers.2.ffn.experts.w13");
  const int64_t F = config.moe_intermediate_size;
  EXPECT_EQ(w13.value.sizes(), (Shape{config.n_routed_experts, 2 * F, config.hidden_size}));
  weights.parameter("layers.2.ffn.experts.5.w3.weight").master.fill_(3.0);
  EXPECT_EQ(w13.value[5][F][0].item<float>(), 3.0f);
  EXPECT_EQ(w13.value[5][F - 1][0].item<float>(), 0.0f);
  EXPECT_EQ(w13.value[4][F][0].item<float>(), 0.0f);
}

TEST(ModelWeights, EveryReleasedElementHasExactlyOneMasterElement) {
  ModelWeights weights(miniature(), {});
  for (const Parameter& p : weights.parameters()) {
    ASSERT_EQ(p.master.sizes(), at::IntArrayRef(p.row.shape)) << p.row.name;
    p.master.add_(1);
  }
  for (const Parameter& p : weights.parameters()) EXPECT_EQ(p.master.min().item<double>(), 1.0) << p.row.name;
}

TEST(ModelWeights, ComputeCopiesAreBf16ForMatricesAndFp32ForNormsAndRouter) {
  ModelWeights weights(miniature(), {.compute_dtype = at::kBFloat16});
  EXPECT_EQ(weights.weight("layers.1.attn.wq_a").value.scalar_type(), at::kBFloat16);
  EXPECT_EQ(weights.weight("layers.1.attn_norm").value.scalar_type(), at::kFloat);
  EXPECT_EQ(weights.weight("layers.1.ffn.gate").value.scalar_type(), at::kFloat);
  EXPECT_EQ(weights.weight("layers.1.hc_attn_fn").value.scalar_type(), at::kFloat);
  weights.parameter("layers.1.attn.wq_a.weight").master.fill_(0.5);
  weights.refresh_compute();
  EXPECT_EQ(weights.weight("layers.1.attn.wq_a").value[0][0].item<float>(), 0.5f);
}

TEST(ModelWeights, FrozenRowsHaveNoGradient) {
  ModelWeights weights(miniature(), {});
  weights.enable_gradients([](const TensorRow& row) { return row.parameter == ParameterClass::kIndexer; });
  EXPECT_FALSE(weights.weight("layers.1.attn.indexer.wq_b").trained());
  EXPECT_TRUE(weights.weight("layers.1.attn.wq_b").trained());
  EXPECT_FALSE(weights.weight("layers.1.ffn.gate.bias").trained());
  EXPECT_EQ(weights.parameter("layers.1.ffn.experts.0.w2.weight").grad.sizes(), weights.parameter("layers.1.ffn.experts.0.w2.weight").master.sizes());
}

TEST(ModelWeights, ExistOnTheMetaDeviceWithoutMemory) {
  const ModelWeights weights(read_model_config(fs::path(TEMPER_SOURCE_DIR) / "configs/model/v4_100m.json"), {.device = at::kMeta});
  EXPECT_TRUE(weights.weight("embed").value.is_meta());
}

}  // namespace
}  // namespace temper
