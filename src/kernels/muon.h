#pragma once
// Muon's update of weight matrices.  Versions: reference/muon.cpp (Algorithm 1 as it is printed, batches of one shape), cpu/muon.cpp (one
// matrix after the other inside the second cache).

#include <span>

#include "kernels/registry.h"

namespace temper {

/// One logical matrix: one expert, one of w1 and w3.
struct MuonMatrix {
  Tensor w, m, g;          // [rows, cols] each, fp32, contiguous
  double grad_scale = 1.0;   // multiplies the gradient as it is read
  Tensor copy = {};          // gets the new w in its own dtype; may be undefined
};

/// What all matrices of a step share.
struct MuonConstants {
  double lr, momentum, weight_decay, update_rms;
  at::ScalarType dtype;   // of the matrix products
};

namespace newton_schulz {
/// x <- a x + b (x x^T) x + c (x x^T)^2 x, with rows <= cols.  V4 report, Algorithm 1.
struct Coefficients {
  double a, b, c;
};
inline constexpr Coefficients kFast{3.4445, -4.7750, 2.0315};   // grows small singular values
inline constexpr Coefficients kStable{2.0, -1.5, 0.5};          // settles all of them at 1
inline constexpr int kFastIterations = 8, kStableIterations = 2;
inline constexpr double kSmallestNorm = 1e-35;                  // a zero gradient stays zero
}  // namespace newton_schulz

/// U V^T for g = U diag(s) V^T, in g's dtype.
///   g [n, rows, cols] n independent matrices   `dtype` of the matrix products
struct Orthogonalise {
  static constexpr auto kName = "orthogonalise";
  using Function = Tensor(const Tensor& g, at::ScalarType dtype);
};

/// Of each matrix, in place:
///   m <- momentum m + grad_scale g
///   n <- orthogonalise(momentum m + grad_scale g)
///   w <- (1 - lr weight_decay) w - lr update_rms sqrt(max(rows, cols)) n,  copy <- w
/// REQUIRES finite g and w, m, g of one shape each.  The bits of a matrix depend neither on the others nor on the threads.
struct MuonUpdate {
  static constexpr auto kName = "muon_update";
  using Function = void(std::span<const MuonMatrix> matrices, const MuonConstants& constants);
};

namespace reference {
Orthogonalise::Function orthogonalise;
MuonUpdate::Function muon_update;
/// g divided by its Frobenius norm, of each matrix; g [n, rows, cols]
Tensor unit_norm(const Tensor& g);
}  // namespace reference

}  // namespace temper
