#pragma once
// What the forward and backward pass of mHC share: values of one block of tokens, one token in each lane.
// Only for the sources of cpu/isa/.

#include "kernels/cpu/isa/hyper_connection.h"
#include "kernels/cpu/isa/sinkhorn.h"
#include "kernels/cpu/isa/transpose.h"

namespace temper::TEMPER_ISA_NAMESPACE {

inline constexpr int kHcMaxC = 2 * kHcMaxM + kHcMaxM * kHcMaxM;
static_assert(kHcMaxM == kHcMaxMult);

template <class A>
struct Lane {   // one value for each token of a block
  A at[kLanes<A>];
  Vec<A> get() const { return load(at); }
  void set(Vec<A> v) { store(at, v); }
};

// Between lanes and the rows of `count` tokens, C values each; lanes of missing tokens are zero.
template <class A>
inline void gather(Lane<A>* lanes, const A* rows, int64_t C, int64_t count) { transpose_rows(rows, C, count, C, lanes->at); }
template <class A>
inline void scatter(A* rows, const Lane<A>* lanes, int64_t C, int64_t count) { transpose_columns(lanes->at, C, count, C, rows); }

// f.operator()<kM>(): kM = 0 where M is known at run time only.
template <class F>
inline void with_mult(int64_t M, F&& f) {
  if (M == 4) return f.template operator()<4>();
  f.template operator()<0>();
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
