#pragma once
// What a run would do, without doing it.

#include <string>

#include "train/recipe.h"

namespace temper {

/// Derived quantities as text: parameters by class and what updates them, steps, tokens, learning rates, data, memory.
/// Reads the data, so that its errors show here.
std::string describe_run(const LoadedRecipe& recipe);

}  // namespace temper
