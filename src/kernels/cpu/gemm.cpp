#include "kernels/cpu/gemm.h"

#include <ATen/ops/empty.h>

#include <fmt/format.h>

#include "base/error.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

struct PackTask {
  size_t problem;
  int64_t panel;
};
struct BlockTask {
  size_t problem;
  int64_t m_begin, m_end, first_panel, last_panel;
};

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

constexpr double kSmallFlops = 2e6;   // less work than this is not worth waking threads

}  // namespace

void gemm(const std::vector<GemmProblem>& problems) {
  std::vector<GemmSizes> sizes(problems.size());
  std::vector<int64_t> packed_offset(problems.size());
  int64_t packed_bytes = 0, scratch_bytes = 0;
  double flops = 0;
  for (size_t i = 0; i < problems.size(); ++i) {
    const GemmProblem& p = problems[i];
    TEMPER_ISA_PICK(gemm_sizes)(p, sizes[i]);
    packed_offset[i] = packed_bytes;
    packed_bytes += round_up(sizes[i].panel_bytes * ((p.n + sizes[i].panel_columns - 1) / sizes[i].panel_columns), 64);
    scratch_bytes = std::max(scratch_bytes, round_up(sizes[i].scratch_bytes, 64));
    flops += 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  }
  const int64_t n_threads = flops < kSmallFlops || at::in_parallel_region() ? 1 : at::get_num_threads();

  std::vector<PackTask> packs;
  std::vector<BlockTask> blocks;
  for (size_t i = 0; i < problems.size(); ++i) {
    const GemmProblem& p = problems[i];
    if (p.m == 0 || p.n == 0) continue;
    const int64_t panels = (p.n + sizes[i].panel_columns - 1) / sizes[i].panel_columns;
    for (int64_t panel = 0; panel < panels; ++panel) packs.push_back({i, panel});
    // Smaller blocks where one problem alone must keep all threads busy.
    int64_t rows = kGemmBlockRows, width = kGemmBlockPanels;
    const auto count = [&] { return ((p.m + rows - 1) / rows) * ((panels + width - 1) / width); };
    while (problems.size() == 1 && count() < 4 * n_threads && (rows > 16 || width > 1)) (rows > 16 ? rows : width) /= 2;
    for (int64_t panel = 0; panel < panels; panel += width)
      for (int64_t row = 0; row < p.m; row += rows)
        blocks.push_back({i, row, std::min(row + rows, p.m), panel, std::min(panel + width, panels)});
  }
  const Tensor packed = at::empty({packed_bytes}, at::kByte), scratch = at::empty({n_threads * scratch_bytes}, at::kByte);
  char* const packed_data = static_cast<char*>(packed.data_ptr());
  char* const scratch_data = static_cast<char*>(scratch.data_ptr());

  const auto run = [&](int64_t n_tasks, const auto& body) {   // body(task, thread's number)
    const int64_t parts = std::min(n_threads, n_tasks);
    at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; ++part)
        for (int64_t task = n_tasks * part / parts; task < n_tasks * (part + 1) / parts; ++task) body(task, part);
    });
  };
  run(static_cast<int64_t>(packs.size()), [&](int64_t task, int64_t) {
    const PackTask& t = packs[static_cast<size_t>(task)];
    TEMPER_ISA_PICK(gemm_pack)(problems[t.problem], packed_data + packed_offset[t.problem], t.panel, t.panel + 1);
  });
  run(static_cast<int64_t>(blocks.size()), [&](int64_t task, int64_t part) {
    const BlockTask& t = blocks[static_cast<size_t>(task)];
    TEMPER_ISA_PICK(gemm_block)
    (problems[t.problem], packed_data + packed_offset[t.problem], t.m_begin, t.m_end, t.first_panel, t.last_panel, scratch_data + part * scratch_bytes);
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

}  // namespace temper
