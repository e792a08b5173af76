#include "kernels/cpu/isa/thin_gemm.h"

#include "kernels/cpu/isa/dot_tile.h"
#include "kernels/cpu/isa/write_row.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int kMostRowsOfA = 8;       // in one tile
constexpr int kMostRowsOfB = 4;       // more are slower to read
constexpr int64_t kAheadBytes = 8192;   // how far ahead b is fetched

// Columns [begin, end) of b, of which a thread reads more than these: where those lie that it reads later.
template <class XB>
struct Ahead {
  const XB* b;
  int64_t row, rows, end;   // elements from one row of b to the next; how many rows ahead; end of the thread's columns
  const XB* after;          // is read after those, null = nothing

  const XB* of(int64_t column) const {
    const int64_t at = column + rows;
    return at < end ? b + at * row : after ? after + (at - end) * row : b + column * row;
  }
};

// A strip of kLanes columns from `column` on, for kA rows of a.
template <int kA, class S, class XA, class XB>
void dot_strip(const XA* const* a, const XB* const* b, int64_t k, const Ahead<XB>& ahead, int64_t column, S* out) {
  constexpr int L = kLanes<S>, fit = L / kA, kB = fit >= kMostRowsOfB ? kMostRowsOfB : fit >= 2 ? 2 : 1;
  if constexpr (kA > L) {   // few lanes
    dot_strip<kA / 2, S>(a, b, k, ahead, column, out);
    dot_strip<kA - kA / 2, S>(a + kA / 2, b, k, ahead, column, out + kA / 2 * L);
  } else if constexpr (kA * kB > L) {
    for (int j = 0; j < L; ++j) dot_tile<kA, 1>(a, b + j, k, ahead.of(column + j), out + j, L);
  } else {
    for (int j = 0; j < L; j += kB) dot_tile<kA, kB>(a, b + j, k, ahead.of(column + j), out + j, L);
  }
}

template <class S, class XA, class XB>
void columns(const GemmProblem& p, int64_t begin, int64_t end, const void* after) {
  constexpr int L = kLanes<S>;
  alignas(64) S sums[kMostRowsOfA * L];
  const int64_t row_bytes = p.b.column * static_cast<int64_t>(sizeof(XB)), rows_ahead = (kAheadBytes + row_bytes - 1) / (row_bytes > 0 ? row_bytes : 1);
  const XB* const data = static_cast<const XB*>(p.b.data);
  const Ahead<XB> first_time{.b = data, .row = p.b.column, .rows = rows_ahead, .end = end, .after = static_cast<const XB*>(after)};
  const Ahead<XB> again{.b = data, .row = p.b.column, .rows = 0, .end = end, .after = nullptr};   // other rows of a: b is in the cache
  for (int64_t column = begin; column < end; column += L) {
    const XB* b[L];
    for (int j = 0; j < L; ++j)   // columns past the end repeat the last one: their sums are not written
      b[j] = data + (column + j < end ? column + j : end - 1) * p.b.column;
    for (int64_t row = 0; row < p.m; row += kMostRowsOfA) {
      const int count = static_cast<int>(p.m - row < kMostRowsOfA ? p.m - row : kMostRowsOfA);
      const XA* a[kMostRowsOfA];
      for (int i = 0; i < count; ++i) a[i] = static_cast<const XA*>(p.a.data) + (row + i) * p.a.row;
      const auto strip = [&]<int kA>() { dot_strip<kA, S>(a, b, p.k, row == 0 ? first_time : again, column, sums); };
      switch (count) {
        case 1: strip.template operator()<1>(); break;
        case 2: strip.template operator()<2>(); break;
        case 3: strip.template operator()<3>(); break;
        case 4: strip.template operator()<4>(); break;
        case 5: strip.template operator()<5>(); break;
        case 6: strip.template operator()<6>(); break;
        case 7: strip.template operator()<7>(); break;
        default: strip.template operator()<8>(); break;
      }
      with_element(p.c_element, [&]<class X>(X*) {
        for (int64_t i = 0; i < count; ++i)
          write_row(static_cast<X*>(p.c) + (row + i) * p.c_row + column, sums + i * L, end - column < L ? end - column : L, p.add);
      });
    }
  }
}

}  // namespace

void thin_gemm_columns(const GemmProblem& p, int64_t begin, int64_t end, const void* after) {
  const bool a_pairs = p.a.element == Element::kBFloat16, b_pairs = p.b.element == Element::kBFloat16;
  if (p.a.element == Element::kDouble) return columns<double, double, double>(p, begin, end, after);
  if (a_pairs && b_pairs) return columns<float, bf16, bf16>(p, begin, end, after);
  if (a_pairs) return columns<float, bf16, float>(p, begin, end, after);
  if (b_pairs) return columns<float, float, bf16>(p, begin, end, after);
  columns<float, float, float>(p, begin, end, after);
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
