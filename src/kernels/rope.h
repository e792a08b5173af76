#pragma once
// Rotation of interleaved pairs in the last R dims of every head, and what goes with it.  Versions: reference/rope.cpp, cpu/rope.cpp.

#include <utility>

#include "kernels/registry.h"

namespace temper {

/// Cosine and sine of the angle of each row and pair.  [T, R/2], accumulate dtype.
struct Rotation {
  Tensor cos, sin;
};

/// out = x with pairs (a, b) of the last R dims turned into (a cos - b sin, a sin + b cos); `inverse` turns back.
/// x, out [T, ..., Dh]; out may be x.
struct Rope {
  static constexpr auto kName = "rope";
  using Function = void(const Tensor& x, const Rotation& rotation, bool inverse, Tensor& out);
};

/// Unweighted RMS norm of each head, then the rotation.  x [T, H, Dh] -> y as x, rstd [T, H] accumulate dtype.
struct NormRope {
  static constexpr auto kName = "norm_rope";
  using Function = std::pair<Tensor, Tensor>(const Tensor& x, const Rotation& rotation, double eps);
};

/// From the output alone: with g the gradient turned back, y the output turned back, dx = rstd (g - y (g . y) / Dh);
/// the dot product is the same before and after the turn.  -> grad_x as y.
struct NormRopeBackward {
  static constexpr auto kName = "norm_rope_backward";
  using Function = Tensor(const Tensor& grad_y, const Tensor& y, const Tensor& rstd, const Rotation& rotation);
};

/// [..., Dh] and the same -> [...]: dot products of the last dim, accumulate dtype.
struct HeadDots {
  static constexpr auto kName = "head_dots";
  using Function = Tensor(const Tensor& a, const Tensor& b);
};

namespace reference {
HeadDots::Function head_dots;
Rope::Function rope;
NormRope::Function norm_rope;
NormRopeBackward::Function norm_rope_backward;
Tensor rotate(const Tensor& x, const Rotation& rotation, bool inverse);   // a new tensor, differentiable
}  // namespace reference

}  // namespace temper
