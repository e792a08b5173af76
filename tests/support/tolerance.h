#pragma once
// All tolerances of the tests, one row each with its reason.  Widening one is a commit of its own.

namespace temper::test {

/// Largest relative Frobenius error allowed between two ways to compute the same tensor.
struct Tolerance {
  double float64, float32, bfloat16;
};

// Same formula, sums in another order; bf16: the result is rounded to 8 bits (2^-9 on average half of that).
inline constexpr Tolerance kRmsNorm{1e-14, 1e-6, 4e-3};
// The same through a whole gradient: a few rounded intermediates.
inline constexpr Tolerance kRmsNormGrad{1e-13, 3e-6, 8e-3};

}  // namespace temper::test
