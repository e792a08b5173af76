#pragma once
// What a run that goes on finds in its folder: which checkpoint it can use, and what is not as it was.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/training_checkpoint.h"
#include "train/recipe.h"

namespace temper {

/// The checkpoint to go on from, every digest checked.
struct ResumePoint {
  std::unique_ptr<const TrainingCheckpoint> checkpoint;   // null: a new run
  struct Damaged {
    std::string was, is, what;   // its folder before and now, and what is wrong
  };
  std::vector<Damaged> damaged;  // newer ones that were passed over, the newest first
};

/// The newest checkpoint of `folder`.  With `fallback` the newest whole one: a damaged one is renamed to step-N.damaged and kept.
/// Error{kCheckpoint} if the newest is damaged; its fix names the newest whole one.
ResumePoint find_resume_point(const fs::path& folder, bool fallback);

/// A value of the environment that a resumed run's numbers depend on, when the checkpoint was written and now.
struct EnvironmentChange {
  std::string name, before, now;
};
/// Instruction set, threads, kernels, device, versions (run_record.h: describe_environment).  Values that one side lacks are left out.
std::vector<EnvironmentChange> environment_changes(const Json& before, const Json& now);

/// "threads 4 -> 2, isa avx512 -> avx2"
std::string describe(const std::vector<EnvironmentChange>& changes);

/// Settings without effect in this run, one sentence each.
///   n_held_out_rows   that the data gave
std::vector<std::string> settings_without_effect(const LoadedRecipe& recipe, int64_t total_steps, int64_t n_held_out_rows);

}  // namespace temper
