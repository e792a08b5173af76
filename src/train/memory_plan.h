#pragma once
// What a training run will take, before it starts: its own code runs one step on `meta` tensors, and every block is counted
// and placed as the CPU allocator would (tensor/memory_count.h).  docs/memory.md.

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "optim/optimizer.h"
#include "tensor/memory_count.h"
#include "train/recipe.h"

namespace temper {

/// Everything that the memory of a run depends on.
///   document_lengths     of one micro-batch: the longest documents a batch may hold, since the plan is of the most that can happen
///   step_batch_bytes     ids, labels and weights of all micro-batches of a step
///   checkpoint_beside    a copy of masters and optimizer state is written in the background of a step
///   program_bytes        what the process holds without tensors
struct PlannedRun {
  ModelConfig model;
  WeightsOptions weights;
  OptimizerConfig optimizer;
  TrainedParts parts;
  StepModelConfig step;
  std::vector<int64_t> document_lengths;
  int64_t step_batch_bytes = 0;
  bool checkpoint_beside = false;
  int64_t program_bytes = 0;
};

/// Bytes at the moment of the peak, by what they are; they add up to `total`.
struct MemoryPlan {
  struct Row {
    std::string name;
    int64_t bytes;
  };
  std::vector<Row> rows;
  int64_t total = 0;             // resident memory of the process at most
  int64_t allocator_bytes = 0;   // of that, what AllocatorStats::resident_bytes will say
  int64_t live_bytes = 0;        // of that, tensors: AllocatorStats::peak_bytes
  RecomputePolicies recompute;   // of each block
  double recomputed_share = 0;   // of the forward FLOPs of all sub-layers
};

/// What a run may take.
///   bytes  0 = no limit
///   name   as the error says it, before "is 8.000 GiB"
///   fix    besides smaller batches
struct MemoryLimit {
  int64_t bytes = 0;
  std::string name = "the budget", where = {}, fix = "raise [memory] budget_gib";
};
/// `budget_gib` of the option or key that `where` names; if it is 0, the memory that is free now.
MemoryLimit memory_limit(double budget_gib, const std::string& where);

/// Counts one run under several policies.  While it lives, nothing else may count memory on `meta`.
class MemoryPlanner {
 public:
  explicit MemoryPlanner(const PlannedRun& run);
  ~MemoryPlanner();
  MemoryPlan plan(const RecomputePolicies& recompute);
  /// The cheapest policy that fits, and its plan.  Error{kResource} with the smallest plan if none does.
  MemoryPlan plan_within(const MemoryLimit& limit);

 private:
  size_t n_blocks() const;
  double recomputed_share(const RecomputePolicies& recompute) const;

  PlannedRun run_;
  MemoryCount count_;
  std::unique_ptr<ModelWeights> weights_;
  std::unique_ptr<Optimizer> optimizer_;
};

/// The run of a recipe.
PlannedRun planned_run(const LoadedRecipe& recipe, int64_t program_bytes);
/// Its plan under train.recompute and [memory]: within the budget, or, if there is none, within the memory that is free now.
/// Error{kResource} if it cannot fit.
MemoryPlan plan_memory(const LoadedRecipe& recipe, int64_t program_bytes);
/// The same for a machine that need not be this one: without a budget there is no limit.
MemoryPlan plan_memory_anywhere(const LoadedRecipe& recipe, int64_t program_bytes);

/// What this process holds beside tensors, with the code that a first step will touch.  Call before a model is loaded.
int64_t program_bytes();

/// A table; with the peak that was measured beside it, if `measured_bytes` is not 0.
std::string describe(const MemoryPlan& plan, int64_t measured_bytes = 0);
/// {"rows": {name: bytes}, "total_bytes": ..., "recompute": of each block "-", "a" (attention), "f" (experts) or "af", ...} and back.
Json to_json(const MemoryPlan& plan);
MemoryPlan memory_plan_from_json(const Json& json);

}  // namespace temper
