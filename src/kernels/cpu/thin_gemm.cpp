#include "kernels/cpu/thin_gemm.h"

#include <algorithm>
#include <atomic>

#include "kernels/cpu/cpu_kernel.h"
#include "kernels/cpu/isa/thin_gemm.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kMostRows = 32;             // more make packing worth its while
constexpr int64_t kTaskElements = 1 << 15;    // of b: at most so many for a task,
constexpr int64_t kTasksEach = 8;             // and about so many tasks for each thread
constexpr int64_t kUnitColumns = 16;          // of a task
constexpr int64_t kGrainElements = 1 << 15;   // of b; fewer are not worth waking threads

// Some columns of one problem.
struct Task {
  const GemmProblem* problem = nullptr;
  int64_t begin = 0, end = 0;

  const void* data() const {
    return problem ? static_cast<const char*>(problem->b.data) + begin * problem->b.column * element_bytes(problem->b.element) : nullptr;
  }
};

// Gives out tasks in their order; calls must ask for growing numbers.
class Tasks {
 public:
  Tasks(const std::vector<GemmProblem>& problems, int64_t elements) : problems_(problems), elements_(elements) {}

  int64_t count() const {
    int64_t n = 0;
    for (const GemmProblem& p : problems_) n += (p.n + width(p) - 1) / width(p);
    return n;
  }
  /// Task `number`; without a problem where there are no more.
  Task at(int64_t number) {
    for (; problem_ < problems_.size(); ++problem_) {
      const GemmProblem& p = problems_[problem_];
      const int64_t begin = (number - first_) * width(p);
      if (begin < p.n) return {&p, begin, std::min(begin + width(p), p.n)};
      first_ += (p.n + width(p) - 1) / width(p);
    }
    return {};
  }

 private:
  int64_t width(const GemmProblem& p) const { return std::max<int64_t>(elements_ / std::max<int64_t>(p.k, 1) / kUnitColumns, 1) * kUnitColumns; }

  const std::vector<GemmProblem>& problems_;
  const int64_t elements_;   // of b, in one task
  size_t problem_ = 0;
  int64_t first_ = 0;        // number of the problem's first task
};

}  // namespace

bool is_thin(const GemmProblem& p) {
  return p.m <= kMostRows && p.a.column == 1 && p.b.row == 1 && (p.a.element == Element::kDouble) == (p.b.element == Element::kDouble);
}

void thin_gemm(const std::vector<GemmProblem>& problems) {
  if (shapes_only()) return;
  int64_t n_elements = 0;
  for (const GemmProblem& p : problems) n_elements += p.n * p.k;
  const int64_t n_threads = count_parts(n_elements, kGrainElements);
  const int64_t task_elements = n_threads == 1 ? kTaskElements : std::min(kTaskElements, n_elements / (kTasksEach * n_threads));
  // Neighbouring tasks read on where the last one ended, which memory likes: each thread has three quarters of its share in one piece.  The
  // rest goes to who comes first, so that a thread that is held up leaves it to the others.  Who computes a task changes no bit.
  const int64_t n_own = n_threads == 1 ? 0 : Tasks(problems, task_elements).count() * 3 / 4;
  std::atomic<int64_t> next{n_own};
  Team::run(n_threads, [&](int64_t part) {
    int64_t own = n_own * part / n_threads;
    const int64_t own_end = n_own * (part + 1) / n_threads;
    Tasks tasks(problems, task_elements);
    const auto take = [&] { return tasks.at(own < own_end ? own++ : next++); };
    Task following = take();
    while (following.problem) {
      const Task task = following;
      following = take();   // already now, to be fetched while this one is computed
      TEMPER_ISA_PICK(thin_gemm_columns)(*task.problem, task.begin, task.end, following.data());
    }
  });
}

}  // namespace temper
