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

// mHC: M*D products summed in another order, through up to 39 normalisations; bf16 rounds only the streams.
inline constexpr Tolerance kHyperConnection{1e-13, 2e-6, 4e-3};
inline constexpr Tolerance kHyperConnectionGrad{1e-12, 1e-5, 4e-3};
// A handful of element-wise operations; bf16 rounds the result.
inline constexpr Tolerance kRouter{1e-13, 3e-6, 4e-3};
inline constexpr Tolerance kSwiglu{1e-13, 3e-6, 4e-3};
// Sums of up to 513 products in another order; bf16 operands are exact in fp32, the result is rounded.
inline constexpr Tolerance kMatmul{1e-14, 1e-6, 4e-3};
// exp and log of the two ways differ by a few units in the last place, log-probabilities of size 10.
inline constexpr Tolerance kCrossEntropy{1e-13, 2e-6, 4e-3};
// Sums of a few hundred products; bf16: operands are exact in fp32, the result is rounded.
inline constexpr Tolerance kLinear{1e-14, 1e-6, 4e-3};
// One softmax over a few hundred keys; bf16: the result is rounded.
inline constexpr Tolerance kAttentionCore{1e-13, 2e-6, 4e-3};
// In a bf16 run the float32 sums of the keys' gradients count as bf16: probabilities and their gradients are rounded before products of pairs.
inline constexpr Tolerance kAttentionCoreGrad{1e-12, 5e-6, 4e-3};
// A whole attention sub-layer against full score matrices; bf16: about ten roundings of 2^-9 in a row, not all independent.
inline constexpr Tolerance kAttention{1e-12, 3e-6, 1.5e-2};
// Its gradients: twice as long a chain; the smallest ones (sinks, ape) are differences of larger terms.
inline constexpr Tolerance kAttentionGrad{1e-11, 2e-5, 4e-2};
// Gradients of the indexer's loss start from the difference of two nearly equal distributions, and bf16 moves scores across
// the ReLU's edge.
inline constexpr Tolerance kIndexerGrad{1e-11, 2e-5, 1.2e-1};

// A whole mixture of experts against dense float64 products; bf16 rounds inputs of three products in a row.
inline constexpr Tolerance kMoe{1e-13, 2e-6, 1e-2};
inline constexpr Tolerance kMoeGrad{1e-12, 1e-5, 2e-2};
// Through softmax and one product over up to 200,000 words; bf16 rounds the gradient of the logits.
inline constexpr Tolerance kHeadGrad{1e-12, 2e-5, 6e-3};

// Ten iterations of Newton-Schulz against the printed algorithm in float64, of Gaussian matrices; its own error with products rounded to bf16 is
// 5.8e-3 to 9.9e-3 (tools/oracle/newton_schulz_pairs.py), as 2^-9 is amplified for the smallest singular values.
inline constexpr Tolerance kOrthogonalise{1e-11, 1e-4, 1.2e-2};

// Central differences in float64 with a step of 1e-6: truncation 1e-12 and cancellation 1e-10 of values of a few hundred.
inline constexpr double kFiniteDifference = 1e-6;

// Logits of one small bf16 model (six sub-layers) whose products sum in two orders: some activations round to the neighbour, 2^-8 of their size.
inline constexpr Tolerance kOrderOfSums{0, 0, 8e-3};

// Whole models against transformers (docs/deepseek_v4.md, "Parity"): the model's bound, 1e-4 in float32.
inline constexpr Tolerance kModelLogits{1e-10, 1e-4, 0};
// In bfloat16 the bound is this factor times the error of transformers' own bfloat16 against its float32.
inline constexpr double kBfloat16Factor = 2;
// mHC's scales are cancelling sums, terms up to 45 times the sum: two correct implementations differed by 3e-4.
inline constexpr Tolerance kModelScaleGrad{1e-7, 1e-3, 0};

// A step cut into micro-batches: float32 gradients summed in another order, through a whole model.
inline constexpr double kAccumulation = 2e-4;

}  // namespace temper::test
