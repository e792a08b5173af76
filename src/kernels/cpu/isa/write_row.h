#pragma once
// How sums are stored.  Only for the sources of cpu/isa/.

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

}  // namespace
}  // namespace temper::TEMPER_ISA_NAMESPACE
