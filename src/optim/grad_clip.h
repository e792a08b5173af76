#pragma once
// The size of the gradient, and the factor that bounds it.

#include "tensor/tensor.h"

namespace temper {

/// The sum of squares of each tensor in double, added in a fixed order: the same on every number of threads.
/// Infinite or NaN exactly if an element is (finite floats cannot overflow it).
std::vector<double> sums_of_squares(const std::vector<Tensor>& tensors);

/// The factor that brings a gradient of norm `norm` to at most `max_norm`; 1 if max_norm is 0 (clipping off).
/// REQUIRES a finite norm: train/recovery.h looks first.
double clip_factor(double norm, double max_norm);

}  // namespace temper
