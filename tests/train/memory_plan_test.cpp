#include "train/memory_plan.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "base/process.h"
#include "base/rng.h"
#include "model/deepseek_v4/init.h"
#include "support/expect_error.h"
#include "support/one_thread.h"
#include "support/tiny_run.h"
#include "tensor/allocator.h"
#include "train/train_step.h"

namespace temper {
namespace {

// Every kind of layer, large enough that most tensors come from the workspace.
ModelConfig medium_config() {
  ModelConfig c = test::tiny_run_config();
  c.vocab_size = 1024;
  c.hidden_size = 128;
  c.head_dim = 32;
  c.q_lora_rank = 64;
  c.o_lora_rank = 32;
  c.moe_intermediate_size = 64;
  c.n_layers = 4;
  c.compress_ratios = {0, 4, 128, 4, 0};
  return c;
}

PlannedRun medium_run(at::ScalarType dtype, const std::string& optimizer) {
  OptimizerConfig optim;
  optim.kind = optimizer;
  StepModelConfig step;
  step.mtp_weight = 0.3;
  step.indexer_weight = 1;
  return {.model = medium_config(), .weights = {.compute_dtype = dtype}, .optimizer = optim, .parts = {.mtp = true, .indexer = true}, .step = step, .document_lengths = {384, 384}};
}

StepBatch random_batch(const PlannedRun& run) {
  const RandomStream stream(3, "tests/memory_plan");
  int64_t T = 0;
  for (const int64_t length : run.document_lengths) T += length;
  const Tensor ids = at::empty({T}, at::kLong);
  for (int64_t t = 0; t < T; ++t) ids.mutable_data_ptr<int64_t>()[t] = static_cast<int64_t>(stream.below(static_cast<uint64_t>(t), static_cast<uint64_t>(run.model.vocab_size)));
  StepBatch batch;
  batch.micro_batches.push_back({.token_ids = ids, .labels = {}, .label_weights = {}, .document_lengths = run.document_lengths});
  return batch;
}

// Most bytes that tensors of the real run hold at once, its weights included.
int64_t measured_bytes(const PlannedRun& run, const RecomputePolicies& recompute) {
  reset_allocator_peak();
  const size_t before = allocator_stats().in_use_bytes;
  ModelWeights weights(run.model, run.weights);
  initialise(weights, {.seed = 1});
  weights.enable_gradients(frozen_rows(run.optimizer, run.parts));
  Optimizer optimizer(weights, run.optimizer, run.weights.compute_dtype);
  StepModelConfig config = run.step;
  config.recompute = recompute;
  StepModel model(weights, config);
  Recovery recovery(1);
  train_step(model, optimizer, recovery, random_batch(run), {.step = 1, .lr = 1e-3});
  return static_cast<int64_t>(allocator_stats().peak_bytes - before);
}

// The real program against its count on meta tensors: every kernel, both dtypes, with and without recomputation.
TEST(MemoryPlan, IsWhatTheAllocatorTakes) {
  const test::OneThread one_thread;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
    for (const char* optimizer : {"adamw", "muon"})
      for (const RecomputePolicies& recompute : {RecomputePolicies{}, RecomputePolicies{{.attention = true, .ffn = true}}, RecomputePolicies{{.ffn = true}}}) {
        const PlannedRun run = medium_run(dtype, optimizer);
        MemoryPlan plan;
        {
          MemoryPlanner planner(run);
          plan = planner.plan(recompute);
        }
        const auto planned = static_cast<double>(plan.live_bytes), measured = static_cast<double>(measured_bytes(run, recompute));
        EXPECT_NEAR(measured, planned, 0.05 * planned) << dtype_name(dtype) << " " << optimizer << " recomputes " << recompute.size() << "\n" << describe(plan);
        int64_t sum = 0;
        for (const MemoryPlan::Row& row : plan.rows) sum += row.bytes;
        EXPECT_EQ(sum, plan.total);
        EXPECT_EQ(memory_plan_from_json(to_json(plan)).rows.size(), plan.rows.size());
      }
}

TEST(MemoryPlan, ABudgetBuysAsMuchRecomputationAsItTakes) {
  MemoryPlanner planner(medium_run(at::kBFloat16, "adamw"));
  const MemoryPlan nothing = planner.plan({}), everything = planner.plan({{.attention = true, .ffn = true}});
  ASSERT_LT(everything.total, nothing.total);
  EXPECT_EQ(nothing.recomputed_share, 0);
  EXPECT_EQ(everything.recomputed_share, 1);
  EXPECT_EQ(planner.plan_within({}).total, nothing.total);
  EXPECT_EQ(planner.plan_within({.bytes = nothing.total}).recompute, nothing.recompute);
  double share = 0;
  for (const double of_the_way : {0.1, 0.5, 0.9}) {
    const auto budget = nothing.total - static_cast<int64_t>(of_the_way * static_cast<double>(nothing.total - everything.total));
    const MemoryPlan plan = planner.plan_within({.bytes = budget});
    EXPECT_LE(plan.total, budget);
    EXPECT_GT(plan.recomputed_share, share);
    EXPECT_LT(plan.recomputed_share, 1);
    share = plan.recomputed_share;
  }
  EXPECT_ERROR(planner.plan_within({.bytes = everything.total / 2, .where = "run.toml"}), ErrorKind::kResource, "with every sub-layer computed again");
}

TEST(MemoryPlan, ACheckpointThatIsWrittenBesideAStepCountsItsCopy) {
  PlannedRun run = medium_run(at::kFloat, "adamw");
  MemoryPlan alone, beside;
  {
    MemoryPlanner planner(run);
    alone = planner.plan({});
  }
  run.checkpoint_beside = true;
  {
    MemoryPlanner planner(run);
    beside = planner.plan({});
  }
  int64_t masters = 0, state = 0;
  for (const MemoryPlan::Row& row : alone.rows) {
    if (row.name == "masters") masters = row.bytes;
    if (row.name == "optimizer state") state = row.bytes;
  }
  EXPECT_NEAR(static_cast<double>(beside.live_bytes - alone.live_bytes), static_cast<double>(masters + state), 0.05 * static_cast<double>(masters + state));
}

TEST(MemoryLimit, WithoutABudgetIsWhatIsFreeHere) {
  EXPECT_EQ(memory_limit(2, "run.toml").bytes, int64_t{2} << 30);
  const MemoryLimit free = memory_limit(0, "run.toml");
  EXPECT_GT(free.bytes, resident_bytes());
  PlannedRun run = medium_run(at::kBFloat16, "adamw");
  run.program_bytes = free.bytes;   // leaves nothing for tensors
  MemoryPlanner planner(run);
  EXPECT_ERROR(planner.plan_within(free), ErrorKind::kResource, "the memory that is free here is");
}

}  // namespace
}  // namespace temper
