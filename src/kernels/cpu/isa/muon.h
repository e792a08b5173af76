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
/// sum: of the squares of x [n], to fp32's accuracy
TEMPER_ISA_FUNCTION(muon_squares, const void* x, Element element, int64_t n, double& sum)

/// out = unit I + scale sums + keep[0] base[0] + keep[1] base[1] + ...
struct SymmetricOutput {
  void* out;               // [p, p] element; may be a base
  double unit = 0, scale = 0;
  double keep[3] = {};     // 0 for a base that is null
};
/// Sums of symmetric matrices of which only the upper triangles count: elements of the lower ones are left alone or overwritten.
struct SymmetricSums {
  int64_t p;
  const void* sums;        // [p, p] fp32, double for kDouble elements
  const void* base[3];     // [p, p] element, or null
  SymmetricOutput output[3];
  int outputs;
  Element element;
};
/// All outputs of rows [begin, end).
TEMPER_ISA_FUNCTION(symmetric_sum_rows, const SymmetricSums& a, int64_t begin, int64_t end)

/// A square matrix.
struct SquareMatrix {
  void* data;              // [p, p] element
  int64_t p;
  Element element;
};
inline constexpr int64_t kMirrorBlock = 16;   // rows
/// Block rows [begin, end) of the upper triangle to the lower one.
TEMPER_ISA_FUNCTION(mirror_rows, const SquareMatrix& a, int64_t begin, int64_t end)

}  // namespace temper
