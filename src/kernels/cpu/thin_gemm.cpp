#include "kernels/cpu/thin_gemm.h"

#include <algorithm>
#include <atomic>

#include "kernels/compact_weights.h"
#include "kernels/cpu/cpu_kernel.h"
#include "kernels/cpu/isa/compact.h"
#include "kernels/cpu/isa/thin_gemm.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kMostRows = 32;             // more make packing worth its while
constexpr int64_t kTaskElements = 1 << 15;    // of b: at most so many for a task,
constexpr int64_t kTasksEach = 8;             // and about so many tasks for each thread
constexpr int64_t kUnitColumns = 16;          // of a task
constexpr int64_t kGrainElements = 1 << 15;   // of b; fewer are not worth waking threads

// A problem whose b may be compact, and how many columns make a task.
struct Problem {
  GemmProblem product;
  CompactWeights::Rows compact = {};
  int64_t width = 0, n_tasks = 0;

  explicit Problem(const GemmProblem& p) : product(p) {
    if (p.b.element == Element::kBFloat16 && p.b.column == p.k && p.n % CompactMatrix::kRows == 0) compact = CompactWeights::find_in_use(p.b.data, p.k);
  }
  /// elements: of b, in one task.
  void cut(int64_t elements) {
    const int64_t unit = compact.matrix ? CompactMatrix::kRows : kUnitColumns;
    width = std::max<int64_t>(elements / std::max<int64_t>(product.k, 1) / unit, 1) * unit;
    n_tasks = (product.n + width - 1) / width;
  }
};

// Some columns of one problem.
struct Task {
  const Problem* problem = nullptr;
  int64_t begin = 0, end = 0;

  const void* data() const {
    if (!problem) return nullptr;
    const auto& [product, compact, width, n_tasks] = *problem;
    if (compact.matrix) return compact.matrix->tiles + (compact.first_row + begin) / CompactMatrix::kRows * compact.matrix->tile_bytes();
    return static_cast<const char*>(product.b.data) + begin * product.b.column * element_bytes(product.b.element);
  }
  void compute(const void* after) const {
    const auto& [product, compact, width, n_tasks] = *problem;
    if (compact.matrix) TEMPER_ISA_PICK(compact_gemm_columns)(product, *compact.matrix, compact.first_row, begin, end, after);
    else TEMPER_ISA_PICK(thin_gemm_columns)(product, begin, end, after);
  }
};

// Gives out tasks in their order; calls must ask for growing numbers.
class Tasks {
 public:
  explicit Tasks(const std::vector<Problem>& problems) : problems_(problems) {}

  /// Task `number`; without a problem where there are no more.
  Task at(int64_t number) {
    for (; problem_ < problems_.size(); ++problem_) {
      const Problem& p = problems_[problem_];
      const int64_t begin = (number - first_) * p.width;
      if (begin < p.product.n) return {&p, begin, std::min(begin + p.width, p.product.n)};
      first_ += p.n_tasks;
    }
    return {};
  }

 private:
  const std::vector<Problem>& problems_;
  size_t problem_ = 0;
  int64_t first_ = 0;   // number of the problem's first task
};

}  // namespace

bool is_thin(const GemmProblem& p) {
  return p.m <= kMostRows && p.a.column == 1 && p.b.row == 1 && (p.a.element == Element::kDouble) == (p.b.element == Element::kDouble);
}

void thin_gemm(const std::vector<GemmProblem>& products) {
  if (shapes_only()) return;
  std::vector<Problem> problems(products.begin(), products.end());
  int64_t n_elements = 0, n_tasks = 0;
  for (const GemmProblem& p : products) n_elements += p.n * p.k;
  const int64_t n_threads = count_parts(n_elements, kGrainElements);
  for (Problem& problem : problems) {
    problem.cut(n_threads == 1 ? kTaskElements : std::min(kTaskElements, n_elements / (kTasksEach * n_threads)));
    n_tasks += problem.n_tasks;
  }
  // Neighbouring tasks read on where the last one ended, which memory likes: each thread has seven eighths of its share in one piece.  The
  // rest goes to who comes first, so that a thread that is held up leaves it to the others.  Who computes a task changes no bit.
  const int64_t n_own = n_threads == 1 ? 0 : n_tasks * 7 / 8;
  std::atomic<int64_t> next{n_own};
  Team::run(n_threads, [&](int64_t part) {
    int64_t own = n_own * part / n_threads;
    const int64_t own_end = n_own * (part + 1) / n_threads;
    Tasks tasks(problems);
    const auto take = [&] { return tasks.at(own < own_end ? own++ : next++); };
    Task following = take();
    while (following.problem) {
      const Task task = following;
      following = take();   // already now, to be fetched while this one is computed
      task.compute(following.data());
    }
  });
}

}  // namespace temper
