#pragma once
// Rows written at indices.  Versions: reference/put_rows.cpp, cpu/put_rows.cpp (no cost beside that of copying: a decoding step does it
// thirty times for a few rows).

#include "kernels/registry.h"

namespace temper {

/// into[rows[i]] = x[i]
///   into [N, ...], rows [n] int64 in [0, N), all different, x [n, ...] in into's dtype
/// Errors  c10::Error for a row outside or other shapes.
struct PutRows {
  static constexpr auto kName = "put_rows";
  using Function = void(const Tensor& into, const Tensor& rows, const Tensor& x);
};

namespace reference {
PutRows::Function put_rows;
}

inline void put_rows(const Tensor& into, const Tensor& rows, const Tensor& x) { kernel<PutRows>(into)(into, rows, x); }

}  // namespace temper
