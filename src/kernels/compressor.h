#pragma once
// Pooling of tokens into compressed entries.  Versions: reference/compressor.cpp.

#include "kernels/registry.h"

namespace temper {

/// Which tokens an entry pools.  Rows of `values`/`gates`, [N] int64.
///   first_token  the entry's own block: this row and the ratio - 1 after it
///   previous     the block before it: the same for overlapping pools; -1 = absent.  Ignored by pools without overlap
struct PoolRows {
  int64_t ratio;
  bool overlap;         // gates and values are 2*Dh wide: [:Dh] for the entry after a token's own, [Dh:] for its own
  Tensor first_token, previous;
};

/// pooled[i] = sum over the pool of softmax(gates + ape)(token) * values(token), a softmax for every channel.
/// values, gates [T, C*Dh] accumulate dtype, C = 2 with overlap, else 1;  ape [ratio, C*Dh] row = place in the block
///   -> [N, Dh] accumulate dtype
struct CompressorPool {
  static constexpr auto kName = "compressor_pool";
  using Function = Tensor(const Tensor& values, const Tensor& gates, const Tensor& ape, const PoolRows& rows);
};

struct PoolGrads {
  Tensor values, gates;   // as the inputs; zero for tokens in no pool
};

/// With w the softmax and C the pooled value: dvalue = w dC, dgate = w dC (value - C); adds sum of dgate to grad_ape
/// [ratio, C*Dh] (accumulate dtype) unless it is undefined.
struct CompressorPoolBackward {
  static constexpr auto kName = "compressor_pool_backward";
  using Function = PoolGrads(const Tensor& grad_pooled, const Tensor& values, const Tensor& gates, const Tensor& ape,
                             const Tensor& pooled, const PoolRows& rows, const Tensor& grad_ape);
};

namespace reference {
CompressorPool::Function compressor_pool;
CompressorPoolBackward::Function compressor_pool_backward;
}  // namespace reference

}  // namespace temper
