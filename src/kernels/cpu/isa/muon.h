#pragma once
// The element-wise parts of Muon (kernels/muon.h) on raw pointers.

#include "kernels/cpu/isa/function.h"

namespace temper {

/// One matrix as a row of elements; w, m, g fp32.
struct MuonElements {
  float* w;
  float* m;
  const float* g;
  void* x;              // of `element`: the direction, then its orthogonal factor
  Element element;
  float momentum, grad_scale;
  float keep, step;     // w <- keep w - step x
};

/// m <- momentum m + grad_scale g; `squares` [one for each kMuonChunk elements]: sums of (momentum m + grad_scale g)^2.  `begin` is a border of chunks.
TEMPER_ISA_FUNCTION(muon_momentum, const MuonElements& a, double* squares, int64_t begin, int64_t end)
/// x <- scale (momentum m + grad_scale g)
TEMPER_ISA_FUNCTION(muon_direction, const MuonElements& a, float scale, int64_t begin, int64_t end)
TEMPER_ISA_FUNCTION(muon_apply, const MuonElements& a, int64_t begin, int64_t end)
inline constexpr int64_t kMuonChunk = 16384;

/// out = unit I + keep base + keep2 base2 + scale sums, symmetric: only upper triangles are read.  `out` may be one of the bases.
struct SymmetricSum {
  int64_t p;
  const void* sums;       // [p, p] fp32, double for kDouble elements
  const void *base, *base2;   // [p, p] element, or null
  void* out;              // [p, p] element
  Element element;
  double unit, keep, keep2, scale;
};
inline constexpr int64_t kSymmetricBlock = 16;   // rows

/// Block rows [begin, end) of the upper triangle, and their mirror images.
TEMPER_ISA_FUNCTION(symmetric_sum_rows, const SymmetricSum& a, int64_t begin, int64_t end)

}  // namespace temper
