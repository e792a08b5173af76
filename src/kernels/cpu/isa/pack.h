#pragma once
// Packing of matrices into the panels of micro.h.  Only for the sources of cpu/isa/.

#include "kernels/cpu/isa/micro.h"

namespace temper::TEMPER_ISA_NAMESPACE {

inline int64_t steps_of(int64_t k, Pair*) { return (k + 1) / 2; }
template <class S>
inline int64_t steps_of(int64_t k, S*) { return k; }

/// panel[step * width + i] = element (i, step) for i < count, zero for count <= i < width.
///   x  element (i, k) at x + i * i_stride + k * k_stride;  k in [0, n_k)
template <class S, class X>
inline void pack_panel(S* panel, int64_t width, int64_t count, const X* x, int64_t i_stride, int64_t k_stride, int64_t n_k) {
  constexpr int L = kLanes<S>;
  if (i_stride == 1) {
    for (int64_t k = 0; k < n_k; ++k, panel += width, x += k_stride) {
      int64_t i = 0;
      for (; i + L <= count; i += L) store(panel + i, load_as(panel, x + i));
      for (; i < count; ++i) panel[i] = static_cast<S>(to_float(x[i]));
      for (; i < width; ++i) panel[i] = 0;
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const X* row = x + i * i_stride;
    for (int64_t k = 0; k < n_k; ++k) panel[k * width + i] = static_cast<S>(to_float(row[k * k_stride]));
  }
  for (int64_t i = count; i < width; ++i)
    for (int64_t k = 0; k < n_k; ++k) panel[k * width + i] = 0;
}

inline void pack_panel(Pair* panel, int64_t width, int64_t count, const bf16* x, int64_t i_stride, int64_t k_stride, int64_t n_k) {
  constexpr int L = kLanes<float>;
  if (i_stride == 1) {
    for (int64_t k = 0; k < n_k; k += 2, panel += width, x += 2 * k_stride) {
      const bool both = k + 1 < n_k;
      int64_t i = 0;
      for (; i + L <= count; i += L) {
        const FullLanes low = __builtin_convertvector(static_cast<HalfLanesValue>(*reinterpret_cast<const HalfLanes*>(x + i)), FullLanes);
        const FullLanes high = both ? __builtin_bit_cast(FullLanes, load(x + k_stride + i)) : FullLanes{};
        store(reinterpret_cast<float*>(panel + i), __builtin_bit_cast(Vec<float>, low | high));
      }
      for (; i < count; ++i) panel[i].bits = x[i].bits | (both ? static_cast<uint32_t>(x[k_stride + i].bits) << 16 : 0u);
      for (; i < width; ++i) panel[i].bits = 0;
    }
    return;
  }
  const int64_t whole = n_k / 2;
  for (int64_t i = 0; i < count; ++i) {
    const bf16* row = x + i * i_stride;
    for (int64_t step = 0; step < whole; ++step) {
      if (k_stride == 1)
        __builtin_memcpy(&panel[step * width + i].bits, row + 2 * step, 4);
      else
        panel[step * width + i].bits = row[2 * step * k_stride].bits | static_cast<uint32_t>(row[(2 * step + 1) * k_stride].bits) << 16;
    }
    if (n_k % 2) panel[whole * width + i].bits = row[(n_k - 1) * k_stride].bits;
  }
  for (int64_t i = count; i < width; ++i)
    for (int64_t step = 0; step < (n_k + 1) / 2; ++step) panel[step * width + i].bits = 0;
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
