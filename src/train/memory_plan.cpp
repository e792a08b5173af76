#include "train/memory_plan.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/log.h"
#include "base/process.h"
#include "model/deepseek_v4/flops.h"
#include "tensor/allocator.h"
#include "tensor/profile.h"
#include "train/recompute_choice.h"

namespace temper {
namespace {

// Pages of the libraries that are read for the first time during a step, stacks and lists of the threads, malloc's own: tools/memory_table.sh shows what is left of the difference.
constexpr int64_t kFirstStepBytes = int64_t{24} << 20;

Tensor on_meta(int64_t n, at::ScalarType dtype) { return at::empty({n}, at::TensorOptions(dtype).device(at::kMeta)); }

Batch micro_batch(const std::vector<int64_t>& document_lengths) {
  int64_t T = 0;
  for (const int64_t length : document_lengths) T += length;
  return {.token_ids = on_meta(T, at::kLong), .labels = {}, .label_weights = {}, .document_lengths = document_lengths};
}

struct WeightBytes {
  int64_t masters = 0, compute_copies = 0, gradients = 0;
};

WeightBytes weight_bytes(const ModelWeights& weights) {
  WeightBytes bytes;
  for (const Parameter& p : weights.parameters()) {
    bytes.masters += static_cast<int64_t>(p.master.nbytes());
    if (p.compute.scalar_type() != p.master.scalar_type() || (weights.options().separate_compute && p.row.trainable())) bytes.compute_copies += static_cast<int64_t>(p.compute.nbytes());
    if (p.grad.defined()) bytes.gradients += static_cast<int64_t>(p.grad.nbytes());
  }
  return bytes;
}

// The rows that a step adds, in the order they are printed, by their part of the profile.
constexpr std::pair<const char*, const char*> kStepRows[] = {{"batch", "token ids, labels, weights of a step"},
                                                             {"attention", "activations: attention"},
                                                             {"ffn", "activations: experts"},
                                                             {"head and loss", "activations: head and loss, logits chunk"},
                                                             {"other", "activations: streams, embedding, tables"},
                                                             {"optimizer", "optimizer's temporaries"},
                                                             {"kernel scratch", "kernel scratch"},
                                                             {"checkpoint", "checkpoint being written"}};

}  // namespace

MemoryPlanner::MemoryPlanner(const PlannedRun& run) : run_(run) {
  const Profile profile;
  const ProfilePart part("weights");
  WeightsOptions options = run.weights;
  options.device = at::kMeta;
  weights_ = std::make_unique<ModelWeights>(run.model, options);
  weights_->enable_gradients(frozen_rows(run.optimizer, run.parts));
  optimizer_ = std::make_unique<Optimizer>(*weights_, run.optimizer, options.compute_dtype);
}

MemoryPlanner::~MemoryPlanner() = default;

size_t MemoryPlanner::n_blocks() const {
  return static_cast<size_t>(run_.model.n_layers + (run_.step.mtp_weight > 0 ? run_.model.n_mtp_layers : 0));
}

MemoryPlan MemoryPlanner::plan(const RecomputePolicies& recompute) {
  const Profile profile;   // names the rows
  count_.reset_peak();
  {
    std::vector<Tensor> held;
    if (run_.checkpoint_beside) {
      const ProfilePart part("checkpoint");
      for (const Parameter& p : weights_->parameters()) held.push_back(at::empty_like(p.master));
      for (const auto& [name, state] : optimizer_->states()) held.push_back(at::empty_like(state));
    }
    if (run_.step_batch_bytes > 0) {
      const ProfilePart part("batch");
      held.push_back(on_meta(run_.step_batch_bytes, at::kByte));
    }
    StepModelConfig config = run_.step;
    config.recompute = recompute;
    const StepModel model(*weights_, config);
    const Batch batch = micro_batch(run_.document_lengths);
    model.forward_backward(batch, model.count({batch}));
    optimizer_->step(/*lr=*/0, {});
  }

  MemoryPlan plan;
  const WeightBytes weights = weight_bytes(*weights_);
  plan.rows = {{"masters", weights.masters}, {"compute copies", weights.compute_copies}, {"gradients", weights.gradients}, {"optimizer state", optimizer_->state_bytes()}};
  const MemoryCount::Rows counted = count_.rows_at_peak();
  for (const auto& [part, name] : kStepRows)
    if (const auto found = counted.find(part); found != counted.end() && found->second > 0) plan.rows.push_back({name, static_cast<int64_t>(found->second)});
  plan.allocator_bytes = static_cast<int64_t>(count_.resident_bytes());
  plan.live_bytes = static_cast<int64_t>(count_.peak_bytes());
  int64_t named = 0;
  for (const MemoryPlan::Row& row : plan.rows) named += row.bytes;
  plan.rows.push_back({"gaps between blocks", plan.allocator_bytes - named});
  plan.rows.push_back({"program", run_.program_bytes});
  plan.total = plan.allocator_bytes + run_.program_bytes;
  for (size_t block = 0; block < n_blocks(); ++block) plan.recompute.push_back(policy_of(recompute, block));
  plan.recomputed_share = recomputed_share(plan.recompute);
  return plan;
}

double MemoryPlanner::recomputed_share(const RecomputePolicies& recompute) const {
  double all = 0, again = 0;
  for (size_t block = 0; block < n_blocks(); ++block) {
    const SublayerFlops flops = sublayer_flops(run_.model, run_.document_lengths, static_cast<int64_t>(block));
    const RecomputePolicy policy = policy_of(recompute, block);
    all += flops.attention + flops.ffn;
    again += (policy.attention ? flops.attention : 0) + (policy.ffn ? flops.ffn : 0);
  }
  return again / all;
}

MemoryLimit memory_limit(double budget_gib, const std::string& where) {
  if (budget_gib > 0) return {.bytes = static_cast<int64_t>(budget_gib * (1 << 30)), .where = where};
  return {.bytes = obtainable_bytes(), .name = "the memory that is free here", .where = where, .fix = "end other programs, set a budget above it where the system may swap"};
}

MemoryPlan MemoryPlanner::plan_within(const MemoryLimit& limit) {
  const MemoryPlan nothing_again = plan({});
  if (limit.bytes == 0 || nothing_again.total <= limit.bytes) return nothing_again;

  std::vector<RecomputeCandidate> candidates;
  std::map<std::pair<int64_t, bool>, int64_t> saved_by_kind;   // (compress ratio, ffn): measured on the first block of a kind
  for (size_t block = 0; block < n_blocks(); ++block) {
    const SublayerFlops flops = sublayer_flops(run_.model, run_.document_lengths, static_cast<int64_t>(block));
    for (const bool ffn : {false, true}) {
      const auto [kind, fresh] = saved_by_kind.try_emplace({ffn ? 0 : run_.model.compress_ratio(static_cast<int64_t>(block)), ffn}, 0);
      if (fresh) {
        RecomputePolicies one(n_blocks());
        (ffn ? one[block].ffn : one[block].attention) = true;
        kind->second = nothing_again.allocator_bytes - plan(one).allocator_bytes;
      }
      candidates.push_back({.block = block, .ffn = ffn, .flops = ffn ? flops.ffn : flops.attention, .saved_bytes = kind->second});
    }
  }
  const auto fits = [&](const RecomputePolicies& policies) { return plan(policies).total <= limit.bytes; };
  if (const auto chosen = choose_recompute(n_blocks(), candidates, fits)) return plan(*chosen);

  const MemoryPlan least = plan({{.attention = true, .ffn = true}});
  std::string rows;
  for (const MemoryPlan::Row& row : least.rows) rows += fmt::format("{}{} {:.3f}", rows.empty() ? "" : ", ", row.name, static_cast<double>(row.bytes) / (1 << 30));
  throw Error({.kind = ErrorKind::kResource,
               .what = fmt::format("the run takes {:.3f} GiB with every sub-layer computed again, {} is {:.3f} GiB (in GiB: {})", static_cast<double>(least.total) / (1 << 30), limit.name,
                                   static_cast<double>(limit.bytes) / (1 << 30), rows),
               .where = limit.where,
               .fix = limit.fix + ", or lower data.micro_batch or data.sequence_length"});
}

PlannedRun planned_run(const LoadedRecipe& loaded, int64_t program_bytes) {
  const TrainRecipe& r = loaded.recipe;
  constexpr int64_t kTokenBytes = 8 + 8 + 4;   // id, label, weight
  return {.model = loaded.model_config,
          .weights = weights_options(r),
          .optimizer = r.optim,
          .parts = trained_parts(r),
          .step = step_model_config(r),
          .document_lengths = std::vector<int64_t>(static_cast<size_t>(r.data.micro_batch), r.data.sequence_length),
          .step_batch_bytes = r.data.rows_per_step() * r.data.sequence_length * kTokenBytes,
          .checkpoint_beside = r.checkpoint.every_steps > 0 || r.checkpoint.every_seconds > 0,
          .program_bytes = program_bytes};
}

namespace {

MemoryPlan plan_of(const LoadedRecipe& loaded, int64_t program_bytes, const MemoryLimit& limit) {
  MemoryPlanner planner(planned_run(loaded, program_bytes));
  if (!loaded.recipe.train.recompute) return planner.plan_within(limit);
  const MemoryPlan plan = planner.plan({{.attention = true, .ffn = true}});
  return limit.bytes == 0 || plan.total <= limit.bytes ? plan : planner.plan_within(limit);
}

}  // namespace

MemoryPlan plan_memory(const LoadedRecipe& loaded, int64_t program_bytes) {
  const double budget_gib = loaded.recipe.memory.budget_gib;
  const MemoryLimit limit = memory_limit(budget_gib, loaded.file.string() + ", [memory] budget_gib");
  MemoryPlan plan = plan_of(loaded, program_bytes, limit);
  if (budget_gib == 0 && !loaded.recipe.train.recompute && plan.recomputed_share > 0)
    warn_once("train", "{} is {:.1f} GiB: {:.0f} % of the forward pass is computed again, so that the run fits", limit.name, static_cast<double>(limit.bytes) / (1 << 30), 100 * plan.recomputed_share);
  return plan;
}

MemoryPlan plan_memory_anywhere(const LoadedRecipe& loaded, int64_t program_bytes) {
  const double budget_gib = loaded.recipe.memory.budget_gib;
  return plan_of(loaded, program_bytes, budget_gib > 0 ? memory_limit(budget_gib, loaded.file.string() + ", [memory] budget_gib") : MemoryLimit{});
}

int64_t program_bytes() { return resident_bytes() + kFirstStepBytes; }

}  // namespace temper
