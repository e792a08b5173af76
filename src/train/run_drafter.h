#pragma once
// The drafter of a run: carried from the folder the run starts from, recorded in its checkpoints, never in memory.

#include "checkpoint/drafter.h"
#include "train/recipe.h"

namespace temper {

/// What the checkpoints of a run record.  A resumed run takes it from `latest`, its newest checkpoint, unless the recipe now
/// asks for another one; a new run reads the drafter once for its digest.
/// Errors  those of Drafter
std::optional<DrafterRecord> drafter_of_run(const LoadedRecipe& recipe, const std::optional<fs::path>& latest);

/// A line of the plan of a run: what is carried, and that it takes no memory.  Reads headers only.
std::string describe_drafter(const LoadedRecipe& recipe);

}  // namespace temper
