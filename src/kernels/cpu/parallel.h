#pragma once
// Threads of the CPU kernels, and the step from tensors to raw pointers.

#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/cpu/isa.h"
#include "tensor/tensor.h"

namespace temper {

/// How many equal parts `parallel_parts` makes of n items: at most one a thread, each of at least `grain` items.
inline int64_t count_parts(int64_t n, int64_t grain) {
  const int64_t most = at::in_parallel_region() ? 1 : at::get_num_threads();
  return std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, most);
}

/// Calls body(part, begin, end) for each part of [0, n) on a thread of its own.  The parts depend only on n, grain and the
/// number of threads, so sums kept per part and added in their order have the same bits in every run.
template <class Body>
void parallel_parts(int64_t n, int64_t grain, const Body& body) {
  const int64_t parts = count_parts(n, grain);
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) body(part, n * part / parts, n * (part + 1) / parts);
  });
}

/// Error{kInternal} for other dtypes.
Element element_of(const Tensor& tensor);

}  // namespace temper
