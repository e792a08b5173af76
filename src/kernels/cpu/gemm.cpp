#include "kernels/cpu/gemm.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/thin_gemm.h"

namespace temper {
namespace {

struct Task {
  size_t problem;
  GemmTask place;
};

int64_t divide_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }

constexpr double kSmallFlops = 2e6;      // less work than this is not worth waking threads
constexpr int64_t kFewRows = 128;        // tasks of fewer rows would spend their time on packing b

// Cuts all problems into tasks.  Neighbouring tasks share their panels of b; with several threads there are some tasks for
// each, so that one that is held up by other programs leaves them to the others.
std::vector<Task> make_tasks(const std::vector<GemmProblem>& problems, const std::vector<GemmPlan>& plans, int64_t n_threads) {
  int64_t n_chunks = 0;
  for (const GemmPlan& plan : plans) n_chunks += divide_up(plan.panels, std::max<int64_t>(plan.chunk_panels, 1));
  std::vector<Task> tasks;
  for (size_t i = 0; i < problems.size(); ++i) {
    const GemmProblem& p = problems[i];
    const GemmPlan& plan = plans[i];
    if (p.m == 0 || p.n == 0) continue;
    const int64_t wanted = n_threads == 1 ? 1 : n_threads * (plan.packs_a ? 2 : 4);
    const int64_t parts = divide_up(wanted, n_chunks);   // of each chunk
    const int64_t row_parts = std::clamp<int64_t>(p.m / kFewRows, 1, parts);
    // Tasks beside each other pack the same rows of a where that is needed: then only so many that no thread stands idle.
    const int64_t column_parts = divide_up(plan.packs_a ? divide_up(n_threads, n_chunks) : parts, row_parts);
    const int64_t rows = std::min(plan.task_rows, divide_up(divide_up(p.m, row_parts), kGemmTaskUnit) * kGemmTaskUnit);
    const int64_t width = std::max<int64_t>(1, divide_up(plan.chunk_panels, column_parts));
    for (int64_t panel = 0; panel < plan.panels; panel += width)
      for (int64_t row = 0; row < p.m; row += rows)
        tasks.push_back({i, {.m_begin = row, .m_end = std::min(row + rows, p.m), .first_panel = panel, .last_panel = std::min(panel + width, plan.panels), .packed = false}});
  }
  return tasks;
}

}  // namespace

void gemm(const std::vector<GemmProblem>& problems) {
  if (problems.empty()) return;
  if (std::all_of(problems.begin(), problems.end(), is_thin)) return thin_gemm(problems);
  std::vector<GemmPlan> plans(problems.size());
  int64_t workspace_bytes = 0;
  double flops = 0;
  for (size_t i = 0; i < problems.size(); ++i) {
    const GemmProblem& p = problems[i];
    TEMPER_ISA_PICK(gemm_plan)(p, plans[i]);
    workspace_bytes = std::max(workspace_bytes, plans[i].workspace_bytes);
    flops += 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  }
  const int64_t n_threads = flops < kSmallFlops ? 1 : Team::most_parts();
  const std::vector<Task> tasks = make_tasks(problems, plans, n_threads);
  const int64_t n_tasks = static_cast<int64_t>(tasks.size()), workers = std::min(n_threads, n_tasks);
  const Tensor workspace = kernel_scratch(workers * workspace_bytes);
  if (shapes_only()) return;
  char* const workspaces = static_cast<char*>(workspace.data_ptr());

  // Which thread takes a task changes no bit: every element is summed inside one task.
  std::atomic<int64_t> next{0};
  Team::run(workers, [&](int64_t worker) {
    const Task* previous = nullptr;
    for (int64_t i = next++; i < n_tasks; i = next++) {
      const Task& task = tasks[static_cast<size_t>(i)];
      GemmTask place = task.place;
      place.packed = previous && previous->problem == task.problem && previous->place.first_panel == place.first_panel &&
                     previous->place.last_panel == place.last_panel && plans[task.problem].k_blocks == 1;
      TEMPER_ISA_PICK(gemm_task)(problems[task.problem], place, workspaces + worker * workspace_bytes);
      previous = &task;
    }
  });
}

MatrixView matrix_view(const Tensor& tensor) {
  if (tensor.dim() != 2 || (tensor.stride(0) != 1 && tensor.stride(1) != 1 && tensor.size(0) != 1 && tensor.size(1) != 1))
    throw Error({.kind = ErrorKind::kInternal,
                 .what = fmt::format("a matrix product was given {} with strides {}", shape_text(tensor.sizes()), shape_text(tensor.strides())),
                 .where = "",
                 .fix = "a caller passes a wrong tensor: please report it"});
  return {.data = tensor.const_data_ptr(), .row = tensor.stride(0), .column = tensor.stride(1), .element = element_of(tensor)};
}

MatrixView transposed(const MatrixView& matrix) { return {.data = matrix.data, .row = matrix.column, .column = matrix.row, .element = matrix.element}; }

MatrixView from(const MatrixView& matrix, int64_t row, int64_t column) {
  MatrixView view = matrix;
  view.data = static_cast<const char*>(matrix.data) + (row * matrix.row + column * matrix.column) * element_bytes(matrix.element);
  return view;
}

}  // namespace temper
