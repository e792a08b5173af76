#pragma once
// What products with few rows share, whatever form b has in memory.  Only for the sources of cpu/isa/.

#include "kernels/cpu/isa/gemm.h"
#include "kernels/cpu/isa/vector.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

// c[j] = sum[j], or c[j] += sum[j]; rounded once.
template <class S, class X>
void write_row(X* c, const S* sum, int64_t n, bool add) {
  constexpr int L = kLanes<S>;
  int64_t j = 0;
  if constexpr (__is_same(Accumulate<X>, S))
    for (; j + L <= n; j += L) store(c + j, add ? load(c + j) + load(sum + j) : load(sum + j));
  for (; j < n; ++j) c[j] = from_float<X>(static_cast<Accumulate<X>>((add ? static_cast<S>(to_float(c[j])) : S{}) + sum[j]));
}

constexpr int kMostRowsOfA = 8;   // at a time

// Columns [begin, end) of c, in strips of kLanes: strip.template operator()<kA>(a, first, column, sums) computes sums[i * kLanes + j] of kA
// rows of a with column + j; first = no other rows were there before (b comes from memory).
template <class S, class XA, class Strip>
void thin_columns(const GemmProblem& p, int64_t begin, int64_t end, const Strip& strip) {
  constexpr int L = kLanes<S>;
  alignas(64) S sums[kMostRowsOfA * L];
  for (int64_t column = begin; column < end; column += L)
    for (int64_t row = 0; row < p.m; row += kMostRowsOfA) {
      const int count = static_cast<int>(p.m - row < kMostRowsOfA ? p.m - row : kMostRowsOfA);
      const XA* a[kMostRowsOfA];
      for (int i = 0; i < count; ++i) a[i] = static_cast<const XA*>(p.a.data) + (row + i) * p.a.row;
      const auto compute = [&]<int kA>() { strip.template operator()<kA>(a, row == 0, column, sums); };
      switch (count) {
        case 1: compute.template operator()<1>(); break;
        case 2: compute.template operator()<2>(); break;
        case 3: compute.template operator()<3>(); break;
        case 4: compute.template operator()<4>(); break;
        case 5: compute.template operator()<5>(); break;
        case 6: compute.template operator()<6>(); break;
        case 7: compute.template operator()<7>(); break;
        default: compute.template operator()<8>(); break;
      }
      with_element(p.c_element, [&]<class X>(X*) {
        for (int64_t i = 0; i < count; ++i)
          write_row(static_cast<X*>(p.c) + (row + i) * p.c_row + column, sums + i * L, end - column < L ? end - column : L, p.add);
      });
    }
}

}  // namespace
}  // namespace temper::TEMPER_ISA_NAMESPACE
