#include "kernels/cpu/isa/gemm.h"

#include "kernels/cpu/isa/pack.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int64_t kMostSteps = 256;                 // of a block of k
constexpr int64_t kMostStepsShort = 128;            // the same where a is packed (both operands' panels stay in the first cache) or sums take memory
constexpr int64_t kPackedBytes = int64_t{384} << 10;   // of b in one task
constexpr int64_t kRowBlock = 64;                   // rows of a that are packed at a time
constexpr int64_t kRowsWithSums = 256;              // of a task whose sums of several blocks of k need memory of their own
constexpr int64_t kCopyPad = 16;                    // copied rows are a cache line longer, so that they fall into different sets
constexpr int64_t kPackSteps = 4;                   // of b at a time where k runs over its rows: more would compete for the same sets
constexpr int64_t kLine = 64;
constexpr bool kPanelInCache = TEMPER_ISA_BYTES < 64;   // a panel of b is multiplied with all rows of a block before the next one; otherwise rows stay in the first cache
constexpr bool kWidensRows = TEMPER_ISA_BYTES < 64;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

// Calls f with a null pointer of the panels' type.
template <class F>
void with_panel_type(const GemmProblem& p, F&& f) {
  if (p.a.element == Element::kDouble || p.b.element == Element::kDouble) return f(static_cast<double*>(nullptr));
#if defined(__AVX512BF16__)
  if (p.a.element == Element::kBFloat16 && p.b.element == Element::kBFloat16) return f(static_cast<Pair*>(nullptr));
#endif
  f(static_cast<float*>(nullptr));
}

template <class C>
constexpr int64_t kPerStep = __is_same(C, Pair) ? 2 : 1;   // k in one step

// Panels are of three vectors; a rest of one vector makes the last two panels of two, which keep the multipliers busier.
struct Panels {
  int64_t count, threes;   // the first panels have three vectors
  int64_t vectors;

  explicit Panels(int64_t n_vectors) : count(divide_up(n_vectors, kMicroVectors)), vectors(n_vectors) {
    const int64_t rest = n_vectors % kMicroVectors;
    threes = rest == 0 ? count : rest == 1 && count > 1 ? count - 2 : count - 1;
  }
  int64_t first_vector(int64_t panel) const {
    if (panel >= count) return vectors;
    return panel <= threes ? panel * kMicroVectors : threes * kMicroVectors + (panel - threes) * 2;
  }
  int64_t size(int64_t panel) const { return first_vector(panel + 1) - first_vector(panel); }
};

template <class C>
constexpr Element kElement = __is_same(C, double) ? Element::kDouble : __is_same(C, Pair) ? Element::kBFloat16 : Element::kFloat;

// The rows of a are multiplied row by row, without packing: their elements are adjacent. Those of another type than the panels' are copied as the panels' type.
template <class C>
bool rows_are_ready(const GemmProblem& p) {
  if (p.a.column != 1) return false;
  if constexpr (__is_same(C, Pair)) return p.k % 2 == 0;
  return kWidensRows || p.a.element == kElement<C>;
}

template <class C>
bool is_sum(Element element) { return element == (__is_same(PanelSum<C>, double) ? Element::kDouble : Element::kFloat); }

// Sizes of one problem.
template <class C>
struct Cut {
  Panels panels;
  int64_t steps, k_blocks, block_steps;
  int64_t chunk_panels;
  bool sums;   // several blocks of k for a target that cannot hold their sums
  bool ready;
  int64_t b_bytes, a_bytes, sums_bytes;   // parts of the workspace

  explicit Cut(const GemmProblem& p)
      : panels(divide_up(p.n, kLanes<PanelSum<C>>)), steps(steps_of(p.k, static_cast<C*>(nullptr))), ready(rows_are_ready<C>(p)) {
    const bool holds_sums = is_sum<C>(p.c_element);
    const int64_t most_steps = ready && (holds_sums || steps <= kMostSteps) ? kMostSteps : kMostStepsShort;
    k_blocks = steps > most_steps ? divide_up(steps, most_steps) : 1;
    block_steps = divide_up(steps, k_blocks);
    const bool accumulates_as = holds_sums || (p.c_element == Element::kBFloat16 && !__is_same(C, double));
    sums = !holds_sums && (k_blocks > 1 || !accumulates_as);
    const int64_t panel_bytes = (block_steps > 0 ? block_steps : 1) * kMicroColumns<C> * static_cast<int64_t>(sizeof(C));
    const int64_t most = kPackedBytes / panel_bytes > 1 ? kPackedBytes / panel_bytes : 1;
    chunk_panels = panels.count > most ? divide_up(panels.count, divide_up(panels.count, most)) : panels.count;
    b_bytes = round_up(chunk_panels * panel_bytes, kLine);
    a_bytes = round_up(kRowBlock * (block_steps + kCopyPad) * static_cast<int64_t>(sizeof(C)), kLine);
    sums_bytes = sums ? kRowsWithSums * chunk_panels * kMicroColumns<C> * static_cast<int64_t>(sizeof(PanelSum<C>)) : 0;
  }
};

// `first_k` is even for pairs.
template <class C>
void pack(C* panel, int64_t width, int64_t count, const MatrixView& m, int64_t i_stride, int64_t k_stride, int64_t first_i, int64_t first_k, int64_t n_k) {
  with_element(m.element, [&]<class X>(X*) {
    if constexpr (!__is_same(C, Pair) || __is_same(X, bf16))
      pack_panel(panel, width, count, static_cast<const X*>(m.data) + first_i * i_stride + first_k * k_stride, i_stride, k_stride, n_k);
  });
}

// The task's panels of b, one after the other, for k in [first_k, first_k + n_k).
template <class C>
void pack_b(const GemmProblem& p, const Panels& panels, const GemmTask& task, int64_t first_k, int64_t n_k, C* packed) {
  constexpr int64_t L = kLanes<PanelSum<C>>;
  const int64_t steps = steps_of(n_k, static_cast<C*>(nullptr)), start = panels.first_vector(task.first_panel) * L;
  const int64_t part = p.b.column == 1 ? kPackSteps * kPerStep<C> : n_k;   // rows of b are read once, all panels of some of them
  for (int64_t k = 0; k < n_k; k += part)
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      const int64_t column = panels.first_vector(panel) * L, width = panels.size(panel) * L, count = p.n - column < width ? p.n - column : width;
      pack(packed + (column - start) * steps + k / kPerStep<C> * width, width, count, p.b, p.b.column, p.b.row, column, first_k + k, n_k - k < part ? n_k - k : part);
    }
}

template <class C, class X>
void copy_row(C* to, const X* from, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes<C> <= n; i += kLanes<C>) store(to + i, load_as(to, from + i));
  for (; i < n; ++i) to[i] = static_cast<C>(to_float(from[i]));
}

// A block of rows of a, ready to be multiplied.
template <class C>
struct RowBlock {
  const C* rows[kRowBlock];   // of ready rows
  const C* packed;            // otherwise: [panels][steps][kPackedRows]
};

template <class C>
void prepare_rows(const GemmProblem& p, bool ready, int64_t m_begin, int64_t m_end, int64_t first_k, int64_t n_k, C* scratch, RowBlock<C>& block) {
  const int64_t steps = steps_of(n_k, static_cast<C*>(nullptr));
  block.packed = scratch;
  if (!ready) {
    constexpr int64_t width = kPackedRows<C>;
    for (int64_t row = m_begin; row < m_end; row += width)
      pack(scratch + (row - m_begin) * steps, width, m_end - row < width ? m_end - row : width, p.a, p.a.row, p.a.column, row, first_k, n_k);
    return;
  }
  if (p.a.element != kElement<C>) {
    with_element(p.a.element, [&]<class X>(X*) {
      for (int64_t i = 0; i < round_up(m_end - m_begin, kMicroRows); ++i) {
        C* copy = scratch + i * (steps + kCopyPad);
        block.rows[i] = copy;
        const int64_t row = m_begin + i < m_end ? m_begin + i : m_end - 1;
        if constexpr (!__is_same(C, Pair)) copy_row(copy, static_cast<const X*>(p.a.data) + row * p.a.row + first_k, steps);
      }
    });
    return;
  }
  const int64_t row_bytes = p.a.row * static_cast<int64_t>(sizeof(C)) / kPerStep<C>;
  const bool collide = row_bytes % 2048 == 0 && steps > 128;   // rows that compete for few sets of the first cache
  for (int64_t i = 0; i < round_up(m_end - m_begin, kMicroRows); ++i) {   // rows past the end repeat the last one: their sums are not written
    const int64_t row = m_begin + i < m_end ? m_begin + i : m_end - 1;
    block.rows[i] = reinterpret_cast<const C*>(static_cast<const char*>(p.a.data) + row * row_bytes) + first_k / kPerStep<C>;
    if (!collide) continue;
    C* copy = scratch + i * (steps + kCopyPad);
    __builtin_memcpy(copy, block.rows[i], static_cast<decltype(sizeof(C))>(steps) * sizeof(C));
    block.rows[i] = copy;
  }
}

// The next rows arrive during the products of this one, a part of `n_parts` with each panel.
template <class C>
void fetch_rows(const C* const* rows, int64_t steps, int64_t part, int64_t n_parts) {
  for (int64_t i = 0; i < kMicroRows; ++i)
    for (int64_t step = steps * part / n_parts; step < steps * (part + 1) / n_parts; step += kLine / static_cast<int64_t>(sizeof(C))) __builtin_prefetch(rows[i] + step);
}

// Whole vectors of a panel that lie below the diagonal for all rows of a tile.
template <class C>
int64_t vectors_below(const GemmProblem& p, int64_t row, int64_t column) {
  return p.upper && row > column ? (row - column) / kLanes<PanelSum<C>> : 0;
}

// The rows of one block of a, from first_row on, times the task's panels, for one block of k.  c: element (first_row, first column of the task).
template <class C, class X>
void multiply_block(const Cut<C>& cut, const GemmProblem& p, const GemmTask& task, int64_t first_row, int64_t n_rows, int64_t steps, const RowBlock<C>& block, const C* b, X* c, int64_t c_row, bool add) {
  constexpr int64_t L = kLanes<PanelSum<C>>;
  const int64_t start = cut.panels.first_vector(task.first_panel) * L;
  const auto tile = [&](int64_t row, int64_t panel) {
    const int64_t panel_column = cut.panels.first_vector(panel) * L, vectors = cut.panels.size(panel), skip = vectors_below<C>(p, first_row + row, panel_column);
    if (skip >= vectors) return;
    const int64_t column = panel_column + skip * L, most_columns = (vectors - skip) * L;
    const TileTarget<X> to{.c = c + row * c_row + (column - start), .c_row = c_row, .rows = n_rows - row < kMicroRows ? n_rows - row : kMicroRows,
                           .columns = p.n - column < most_columns ? p.n - column : most_columns, .add = add};
    const C* b_panel = b + (panel_column - start) * steps + skip * L;
    if (cut.ready) {
      if (!kPanelInCache && row + kMicroRows < n_rows) fetch_rows(block.rows + row + kMicroRows, steps, panel - task.first_panel, task.last_panel - task.first_panel);
      micro_panel(vectors, skip, steps, RowsInPlace<C>{block.rows + row}, b_panel, to);
    } else {
      micro_panel(vectors, skip, steps, RowsPacked<C>{block.packed + row / kPackedRows<C> * kPackedRows<C> * steps + row % kPackedRows<C>}, b_panel, to);
    }
  };
  if constexpr (kPanelInCache) {
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel)
      for (int64_t row = 0; row < n_rows; row += kMicroRows) tile(row, panel);
  } else {
    for (int64_t row = 0; row < n_rows; row += kMicroRows)
      for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) tile(row, panel);
  }
}

// The whole task with its sums in c, element (task.m_begin, first column of the task).
template <class C, class X>
void multiply_task(const Cut<C>& cut, const GemmProblem& p, const GemmTask& task, void* workspace, X* c, int64_t c_row, bool add) {
  C* b = static_cast<C*>(workspace);
  C* a = reinterpret_cast<C*>(static_cast<char*>(workspace) + cut.b_bytes);
  for (int64_t k_block = 0; k_block < cut.k_blocks; ++k_block) {
    const int64_t k = k_block * cut.block_steps * kPerStep<C>, most = cut.block_steps * kPerStep<C>, n_k = p.k - k < most ? p.k - k : most;
    const int64_t steps = steps_of(n_k, static_cast<C*>(nullptr));
    if (!task.packed) pack_b(p, cut.panels, task, k, n_k, b);
    for (int64_t row = task.m_begin; row < task.m_end; row += kRowBlock) {
      const int64_t end = task.m_end - row < kRowBlock ? task.m_end : row + kRowBlock;
      RowBlock<C> block;
      prepare_rows(p, cut.ready, row, end, k, n_k, a, block);
      multiply_block(cut, p, task, row, end - row, steps, block, b, c + (row - task.m_begin) * c_row, c_row, add || k_block > 0);
    }
  }
}

}  // namespace

void gemm_plan(const GemmProblem& p, GemmPlan& plan) {
  with_panel_type(p, [&]<class C>(C*) {
    const Cut<C> cut(p);
    plan = {.panels = cut.panels.count, .chunk_panels = cut.chunk_panels, .task_rows = cut.sums ? kRowsWithSums : p.m, .k_blocks = cut.k_blocks, .packs_a = !cut.ready,
            .workspace_bytes = cut.b_bytes + cut.a_bytes + cut.sums_bytes};
  });
}

void gemm_task(const GemmProblem& p, const GemmTask& task, void* workspace) {
  with_panel_type(p, [&]<class C>(C*) {
    using S = PanelSum<C>;
    const Cut<C> cut(p);
    const int64_t first_column = cut.panels.first_vector(task.first_panel) * kLanes<S>, after = cut.panels.first_vector(task.last_panel) * kLanes<S>;
    if (p.upper && task.m_begin >= after) return;   // so are all later tasks of these panels, which need no packed b
    with_element(p.c_element, [&]<class X>(X*) {
      X* c = static_cast<X*>(p.c) + task.m_begin * p.c_row + first_column;
      if constexpr (__is_same(Accumulate<X>, S))
        if (!cut.sums) return multiply_task(cut, p, task, workspace, c, p.c_row, p.add);
      S* sums = reinterpret_cast<S*>(static_cast<char*>(workspace) + cut.b_bytes + cut.a_bytes);
      const int64_t width = after - first_column, columns = (p.n < after ? p.n : after) - first_column;
      multiply_task(cut, p, task, workspace, sums, width, false);
      for (int64_t row = 0; row < task.m_end - task.m_begin; ++row) {
        X* to = c + row * p.c_row;
        const S* from = sums + row * width;
        int64_t j = 0;
        if constexpr (__is_same(Accumulate<X>, S))
          for (; j + kLanes<S> <= columns; j += kLanes<S>) store(to + j, p.add ? load(to + j) + load(from + j) : load(from + j));
        for (; j < columns; ++j) to[j] = from_float<X>(static_cast<Accumulate<X>>((p.add ? static_cast<S>(to_float(to[j])) : S{}) + from[j]));
      }
    });
  });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
