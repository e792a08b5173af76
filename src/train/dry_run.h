#pragma once
// What a run would do, without doing it.

#include <string>

#include "train/recipe.h"

namespace temper {

/// Memory of a run by kind, in bytes.  Activations are left out: `temper bench train` measures them.
struct TrainingMemory {
  int64_t masters = 0, compute_copies = 0, gradients = 0, optimizer_state = 0;
  int64_t total() const { return masters + compute_copies + gradients + optimizer_state; }
};
TrainingMemory training_memory(const LoadedRecipe& recipe);

/// Derived quantities as text: parameters by class and what updates them, steps, tokens, learning rates, data, memory.
/// Reads the data, so that its errors show here.
std::string describe_run(const LoadedRecipe& recipe);

}  // namespace temper
