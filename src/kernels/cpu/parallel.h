#pragma once
// Threads of the CPU kernels, and the step from tensors to raw pointers.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "kernels/cpu/cpu_kernel.h"
#include "kernels/cpu/isa.h"
#include "kernels/team.h"
#include "tensor/tensor.h"

namespace temper {

/// How many equal parts `parallel_parts` makes of n items: at most one a thread, each of at least `grain` items.
inline int64_t count_parts(int64_t n, int64_t grain) {
  return std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, Team::most_parts());
}

/// Calls body(part, begin, end) for each part of [0, n) on a thread of its own.  The parts depend only on n, grain and the
/// number of threads, so sums kept per part and added in their order have the same bits in every run.
template <class Body>
void parallel_parts(int64_t n, int64_t grain, const Body& body) {
  if (shapes_only()) return;
  const int64_t parts = count_parts(n, grain);
  Team::run(parts, [&](int64_t part) { body(part, n * part / parts, n * (part + 1) / parts); });
}

/// Calls body(worker, begin, end) for pieces of the parts that `parallel_parts` would make, with worker < count_parts(n, grain): a thread takes the pieces of its
/// own part, then those that others have not come to, so that a thread whose core is shared delays nobody for long.  Pieces
/// start at multiples of kPieceUnit from the start of their part.  REQUIRES that no row's result depends on who computes it.
inline constexpr int64_t kPieceUnit = 64, kPiecesEach = 8;
template <class Body>
void parallel_pieces(int64_t n, int64_t grain, const Body& body) {
  if (shapes_only()) return;
  const int64_t parts = count_parts(n, grain);
  if (parts == 1) return body(int64_t{0}, int64_t{0}, n);
  struct alignas(64) Counter {
    std::atomic<int64_t> pieces_taken{0};
  };
  std::vector<Counter> counters(static_cast<size_t>(parts));
  const int64_t piece = (n / (parts * kPiecesEach) / kPieceUnit + 1) * kPieceUnit;
  Team::run(parts, [&](int64_t worker) {
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t part = (worker + i) % parts, first = n * part / parts, last = n * (part + 1) / parts;
      const auto take = [&] { return first + piece * counters[static_cast<size_t>(part)].pieces_taken.fetch_add(1, std::memory_order_relaxed); };
      for (int64_t begin = take(); begin < last; begin = take()) body(worker, begin, std::min(begin + piece, last));
    }
  });
}

/// Borders of ranges of [0, n) with about equal cost(i), at most one a thread, each worth at least `grain`.
template <class Cost>
std::vector<int64_t> split_by_cost(int64_t n, int64_t grain, const Cost& cost) {
  int64_t total = 0, done = 0;
  if (shapes_only()) {   // costs may depend on values
    std::vector<int64_t> equal;
    for (int64_t part = 0, parts = count_parts(n, 1); part <= parts; ++part) equal.push_back(n * part / parts);
    return equal;
  }
  for (int64_t i = 0; i < n; ++i) total += cost(i);
  const int64_t parts = count_parts(total, grain);
  std::vector<int64_t> borders{0};
  for (int64_t i = 0; i < n && static_cast<int64_t>(borders.size()) < parts; ++i) {
    done += cost(i);
    if (done >= total * static_cast<int64_t>(borders.size()) / parts) borders.push_back(i + 1);
  }
  borders.push_back(n);
  return borders;
}

/// Calls body(part, begin, end) for the ranges between `borders`, each on a thread of its own.
template <class Body>
void for_each_cost_part(const std::vector<int64_t>& borders, const Body& body) {
  if (shapes_only()) return;
  Team::run(static_cast<int64_t>(borders.size()) - 1, [&](int64_t part) { body(part, borders[static_cast<size_t>(part)], borders[static_cast<size_t>(part) + 1]); });
}

/// The first address at or after `pointer` on a 64-byte border.
inline void* align(void* pointer) { return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(pointer) + 63) / 64 * 64); }

/// Error{kInternal} for other dtypes.
Element element_of(const Tensor& tensor);
inline int64_t element_bytes(Element element) { return element == Element::kBFloat16 ? 2 : element == Element::kFloat ? 4 : 8; }

}  // namespace temper
