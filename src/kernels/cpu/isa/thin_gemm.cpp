#include "kernels/cpu/isa/thin_gemm.h"

#include "kernels/cpu/isa/dot_tile.h"
#include "kernels/cpu/isa/thin_columns.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int kMostRowsOfB = 4;       // in one tile: more are slower to read
constexpr int64_t kAheadBytes = 8192;   // how far ahead b is fetched

// The rows of b where they lie.
template <class S, class XA, class XB>
class PlainStrip {
 public:
  // The thread reads columns [.., end), then what lies at `after` (null = nothing).
  PlainStrip(const GemmProblem& p, int64_t end, const void* after)
      : b_(static_cast<const XB*>(p.b.data)), row_(p.b.column), k_(p.k), end_(end), after_(static_cast<const XB*>(after)) {
    const int64_t row_bytes = row_ * static_cast<int64_t>(sizeof(XB));
    rows_ahead_ = (kAheadBytes + row_bytes - 1) / (row_bytes > 0 ? row_bytes : 1);
  }

  template <int kA>
  void operator()(const XA* const* a, bool first, int64_t column, S* sums) const {
    constexpr int L = kLanes<S>;
    const XB* b[L];
    for (int j = 0; j < L; ++j)   // columns past the end repeat the last one: their sums are not written
      b[j] = b_ + (column + j < end_ ? column + j : end_ - 1) * row_;
    dots<kA>(a, b, first, column, sums);
  }

 private:
  template <int kA>
  void dots(const XA* const* a, const XB* const* b, bool first, int64_t column, S* out) const {
    constexpr int L = kLanes<S>, fit = L / kA, kB = fit >= kMostRowsOfB ? kMostRowsOfB : fit >= 2 ? 2 : 1;
    if constexpr (kA > L) {   // few lanes
      dots<kA / 2>(a, b, first, column, out);
      dots<kA - kA / 2>(a + kA / 2, b, first, column, out + kA / 2 * L);
    } else if constexpr (kA * kB > L) {
      for (int j = 0; j < L; ++j) dot_tile<kA, 1>(a, b + j, k_, next(first, column + j), out + j, L);
    } else {
      for (int j = 0; j < L; j += kB) dot_tile<kA, kB>(a, b + j, k_, next(first, column + j), out + j, L);
    }
  }
  // What is read some columns later; with other rows of a it is in the cache already.
  const XB* next(bool first, int64_t column) const {
    const int64_t at = column + (first ? rows_ahead_ : 0);
    return at < end_ ? b_ + at * row_ : first && after_ ? after_ + (at - end_) * row_ : b_ + column * row_;
  }

  const XB* b_;
  int64_t row_, k_, end_;   // elements from one row of b to the next
  const XB* after_;
  int64_t rows_ahead_;
};

}  // namespace

void thin_gemm_columns(const GemmProblem& p, int64_t begin, int64_t end, const void* after) {
  const auto columns = [&]<class S, class XA, class XB>() { thin_columns<S, XA>(p, begin, end, PlainStrip<S, XA, XB>(p, end, after)); };
  const bool a_pairs = p.a.element == Element::kBFloat16, b_pairs = p.b.element == Element::kBFloat16;
  if (p.a.element == Element::kDouble) return columns.template operator()<double, double, double>();
  if (a_pairs && b_pairs) return columns.template operator()<float, bf16, bf16>();
  if (a_pairs) return columns.template operator()<float, bf16, float>();
  if (b_pairs) return columns.template operator()<float, float, bf16>();
  columns.template operator()<float, float, float>();
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
