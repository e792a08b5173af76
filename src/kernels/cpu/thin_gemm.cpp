#include "kernels/cpu/thin_gemm.h"

#include <algorithm>

#include "kernels/cpu/cpu_kernel.h"
#include "kernels/cpu/isa/thin_gemm.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kMostRows = 32;          // more make packing worth its while
constexpr int64_t kTaskColumns = 64;
constexpr int64_t kGrainElements = 1 << 18;   // of b; fewer are not worth waking threads

}  // namespace

bool is_thin(const GemmProblem& p) {
  return p.m <= kMostRows && p.a.column == 1 && p.b.row == 1 && (p.a.element == Element::kDouble) == (p.b.element == Element::kDouble);
}

void thin_gemm(const std::vector<GemmProblem>& problems) {
  if (shapes_only()) return;
  int64_t n_elements = 0, n_tasks = 0;
  for (const GemmProblem& p : problems) {
    n_elements += p.n * p.k;
    n_tasks += (p.n + kTaskColumns - 1) / kTaskColumns;
  }
  if (count_parts(n_elements, kGrainElements) == 1) {
    for (const GemmProblem& p : problems) TEMPER_ISA_PICK(thin_gemm_columns)(p, 0, p.n);
    return;
  }
  parallel_parts(n_tasks, 1, [&](int64_t, int64_t begin, int64_t end) {
    int64_t first = 0;   // task of the problem's first columns
    for (const GemmProblem& p : problems) {
      const int64_t count = (p.n + kTaskColumns - 1) / kTaskColumns, from = std::max(begin - first, int64_t{0}), to = std::min(end - first, count);
      if (from < to) TEMPER_ISA_PICK(thin_gemm_columns)(p, from * kTaskColumns, std::min(to * kTaskColumns, p.n));
      first += count;
    }
  });
}

}  // namespace temper
