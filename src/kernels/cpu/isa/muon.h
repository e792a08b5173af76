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

/// out = unit I + scale sums + keep[0] base[0] + keep[1] base[1] + ...
struct SymmetricOutput {
  void* out;               // [p, p] element; may be a base
  double unit = 0, scale = 0;
  double keep[3] = {};     // 0 for a base that is null
  bool mirrored = true;    // false: only the upper triangle is written
};
/// Sums of symmetric matrices: only upper triangles are read.
struct SymmetricSums {
  int64_t p;
  const void* sums;        // [p, p] fp32, double for kDouble elements
  const void* base[3];     // [p, p] element, or null
  SymmetricOutput output[3];
  int outputs;
  Element element;
};
inline constexpr int64_t kSymmetricBlock = 16;   // rows

/// All outputs of block rows [begin, end) of the upper triangle, and their mirror images.
TEMPER_ISA_FUNCTION(symmetric_sum_rows, const SymmetricSums& a, int64_t begin, int64_t end)

}  // namespace temper
