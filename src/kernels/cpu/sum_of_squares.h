#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace temper::kernels::cpu {

/// The sum of x[i]^2 of each array, in double.  The order of additions is fixed by the sizes alone: results do not depend on
/// the number of threads.  Infinite or NaN exactly if an element is (the square of a finite float does not overflow a double).
std::vector<double> sums_of_squares(std::span<const std::span<const float>> arrays);

}  // namespace temper::kernels::cpu
