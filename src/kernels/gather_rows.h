#pragma once
// Rows of a tensor by index.  Versions: reference/gather_rows.cpp, cpu/gather_rows.cpp, meta/gather_rows.cpp.

#include "kernels/registry.h"

namespace temper {

/// x [N, ...], rows [n] int64 in [0, N) -> [n, ...]
struct GatherRows {
  static constexpr auto kName = "gather_rows";
  using Function = Tensor(const Tensor& x, const Tensor& rows);
};

namespace reference {
GatherRows::Function gather_rows;
}

inline Tensor gather_rows(const Tensor& x, const Tensor& rows) { return kernel<GatherRows>(x)(x, rows); }

}  // namespace temper
