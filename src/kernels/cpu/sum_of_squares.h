#pragma once

#include <cstdint>

namespace temper::kernels::cpu {

/// Sum of x[i]^2 in double.  The order of additions is fixed by the size alone: the result does not depend on the number
/// of threads.  Infinite or NaN exactly if an element is (the square of a finite float does not overflow a double).
double sum_of_squares(const float* x, int64_t size);

}  // namespace temper::kernels::cpu
