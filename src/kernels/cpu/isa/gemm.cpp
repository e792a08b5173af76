#include "kernels/cpu/isa/gemm.h"

#include "kernels/cpu/isa/pack.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int64_t kStepsAtOnce = 128;   // a panel of b is then 24 KiB: it stays in the first cache
constexpr int64_t kCopyStride = kStepsAtOnce + 16;   // of copied rows: a cache line more, so that they fall into different sets

// Calls f with a null pointer of the panels' type and the sums' type.
template <class F>
void with_panel_type(const GemmProblem& p, F&& f) {
  if (p.a.element == Element::kDouble || p.b.element == Element::kDouble) return f(static_cast<double*>(nullptr));
#if defined(__AVX512BF16__)
  if (p.a.element == Element::kBFloat16 && p.b.element == Element::kBFloat16) return f(static_cast<Pair*>(nullptr));
#endif
  f(static_cast<float*>(nullptr));
}

// `first_k` is even for pairs.
template <class C>
void pack(C* panel, int64_t width, int64_t count, const MatrixView& m, int64_t i_stride, int64_t k_stride, int64_t first_i, int64_t first_k, int64_t n_k) {
  with_element(m.element, [&]<class X>(X*) {
    if constexpr (!__is_same(C, Pair) || __is_same(X, bf16))
      pack_panel(panel, width, count, static_cast<const X*>(m.data) + first_i * i_stride + first_k * k_stride, i_stride, k_stride, n_k);
  });
}

// All row panels of a block at once where rows of a matrix hold its columns: a line of them is a few whole vectors.
template <class C>
void pack_columns(C* a, int64_t n_panels, int64_t count, const MatrixView& m, int64_t first_i, int64_t first_k, int64_t n_k, int64_t steps) {
  constexpr int64_t per_step = __is_same(C, Pair) ? 2 : 1;
  alignas(64) C line[kGemmBlockRows];
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t k = step * per_step;
    pack(line, kGemmBlockRows, count, m, 1, m.column, first_i, first_k + k, n_k - k < per_step ? n_k - k : per_step);
    for (int64_t panel = 0; panel < n_panels; ++panel) __builtin_memcpy(a + (panel * steps + step) * kMicroRows, line + panel * kMicroRows, kMicroRows * sizeof(C));
  }
}

// The rows of a need no packing: adjacent elements of the panels' own type (pairs of them for bf16).
template <class C>
bool rows_are_ready(const GemmProblem& p) {
  if (p.a.column != 1) return false;
  if constexpr (__is_same(C, Pair)) return p.k % 2 == 0;
  return p.a.element == (__is_same(C, double) ? Element::kDouble : Element::kFloat);
}

template <class S, class X>
void write_row(X* c, const S* sum, int64_t n, bool add) {
  constexpr int L = kLanes<S>;
  int64_t j = 0;
  if constexpr (__is_same(Accumulate<X>, S))
    for (; j + L <= n; j += L) store(c + j, add ? load(c + j) + load(sum + j) : load(sum + j));
  for (; j < n; ++j) c[j] = from_float<X>(static_cast<Accumulate<X>>((add ? static_cast<S>(to_float(c[j])) : S{}) + sum[j]));
}

constexpr int64_t scalars_per_step(Pair*) { return 2; }
template <class S>
constexpr int64_t scalars_per_step(S*) { return 1; }

}  // namespace

void gemm_sizes(const GemmProblem& p, GemmSizes& sizes) {
  with_panel_type(p, [&]<class C>(C* type) {
    using S = PanelSum<C>;
    sizes.panel_columns = kMicroColumns<C>;
    sizes.panel_bytes = steps_of(p.k, type) * kMicroColumns<C> * static_cast<int64_t>(sizeof(C));
    sizes.scratch_bytes = kGemmBlockRows * (kCopyStride * static_cast<int64_t>(sizeof(C)) + kGemmBlockPanels * kMicroColumns<C> * static_cast<int64_t>(sizeof(S)));
  });
}

void gemm_pack(const GemmProblem& p, void* packed, int64_t first, int64_t last) {
  with_panel_type(p, [&]<class C>(C* type) {
    constexpr int64_t width = kMicroColumns<C>;
    for (int64_t panel = first; panel < last; ++panel) {
      const int64_t count = p.n - panel * width < width ? p.n - panel * width : width;
      pack(static_cast<C*>(packed) + panel * steps_of(p.k, type) * width, width, count, p.b, p.b.column, p.b.row, panel * width, 0, p.k);
    }
  });
}

void gemm_block(const GemmProblem& p, const void* packed, int64_t m_begin, int64_t m_end, int64_t first, int64_t last, void* scratch) {
  with_panel_type(p, [&]<class C>(C* type) {
    using S = PanelSum<C>;
    constexpr int64_t width = kMicroColumns<C>, per_step = scalars_per_step(static_cast<C*>(nullptr));
    const int64_t all_steps = steps_of(p.k, type), ldc = (last - first) * width, n_row_panels = (m_end - m_begin + kMicroRows - 1) / kMicroRows;
    const int64_t columns = (p.n < last * width ? p.n : last * width) - first * width;
    const bool ready = rows_are_ready<C>(p);
    const int64_t row_bytes = p.a.row * static_cast<int64_t>(sizeof(C)) / per_step;
    const bool collide = row_bytes % 2048 == 0 && all_steps > kStepsAtOnce;   // rows that compete for few sets of the first cache
    S* sums = static_cast<S*>(scratch);                                                         // [rows, ldc]
    C* a = reinterpret_cast<C*>(static_cast<char*>(scratch) + kGemmBlockRows * kGemmBlockPanels * width * static_cast<int64_t>(sizeof(S)));
    for (int64_t step = 0; step < all_steps || step == 0; step += kStepsAtOnce) {
      const int64_t steps = all_steps - step < kStepsAtOnce ? all_steps - step : kStepsAtOnce;
      const int64_t n_k = p.k - step * per_step < steps * per_step ? p.k - step * per_step : steps * per_step;
      const C* rows[kGemmBlockRows];
      if (ready) {
        for (int64_t i = 0; i < n_row_panels * kMicroRows; ++i) {   // rows past the end repeat the last one: their sums are not written
          const int64_t row = m_begin + i < m_end ? m_begin + i : m_end - 1;
          rows[i] = reinterpret_cast<const C*>(static_cast<const char*>(p.a.data) + row * row_bytes) + step;
          if (!collide) continue;
          __builtin_memcpy(a + i * kCopyStride, rows[i], static_cast<decltype(sizeof(C))>(steps) * sizeof(C));
          rows[i] = a + i * kCopyStride;
        }
      } else if (p.a.row == 1) {
        pack_columns(a, n_row_panels, m_end - m_begin, p.a, m_begin, step * per_step, n_k, steps);
      } else {
        for (int64_t i = 0; i < n_row_panels; ++i) {
          const int64_t row = m_begin + i * kMicroRows, count = m_end - row < kMicroRows ? m_end - row : kMicroRows;
          pack(a + i * kMicroRows * steps, kMicroRows, count, p.a, p.a.row, p.a.column, row, step * per_step, n_k);
        }
      }
      for (int64_t panel = first; panel < last; ++panel) {
        const C* b = static_cast<const C*>(packed) + (panel * all_steps + step) * width;
        const int64_t left = columns - (panel - first) * width, used = left < width ? left : width;
        for (int64_t i = 0; i < n_row_panels; ++i) {
          S* c = sums + i * kMicroRows * ldc + (panel - first) * width;
          if (ready)
            micro_rows_panel(used, steps, rows + i * kMicroRows, b, width, c, ldc, step > 0);
          else
            micro_panel(used, steps, a + i * kMicroRows * steps, b, width, c, ldc, step > 0);
        }
      }
    }
    with_element(p.c_element, [&]<class X>(X*) {
      for (int64_t row = m_begin; row < m_end; ++row)
        write_row(static_cast<X*>(p.c) + row * p.c_row + first * width, sums + (row - m_begin) * ldc, columns, p.add);
    });
  });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
