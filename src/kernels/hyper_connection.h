#pragma once
// Manifold-constrained hyper-connections (mHC): the residual is M streams instead of one.
//   T tokens   M hc_mult   D hidden_size   C = 2M + M*M coefficients of a token: pre [M] | post [M] | comb [M*M, row j, column k]
// Everything but the streams, y and out is in the accumulate dtype (fp32; fp64 for fp64 streams).
// Source: docs/deepseek_v4.md, "Hyper-connections".  Versions: reference/hyper_connection.cpp, cpu/hyper_connection.cpp.

#include "kernels/registry.h"

namespace temper {

struct HcConfig {
  int64_t hc_mult = 4, sinkhorn_iters = 20;
  double hc_eps = 1e-6, rms_norm_eps = 1e-6;
};

/// fn [C, M*D], base [C], scale [3] (pre, post, comb); of a head: fn [M, M*D], base [M], scale [1].
struct HcTensors {
  Tensor fn, base, scale;
};

/// What backward needs besides the streams; the Sinkhorn steps are computed again from `mix`.
struct HcSaved {
  Tensor inv_rms;        // [T]     rho
  Tensor mix;            // [T, C]  m = rho * (fn . x)
  Tensor coefficients;   // [T, C]  pre | post | comb after sigmoid and Sinkhorn
};

struct HcPre {
  Tensor y;        // [T, D]
  HcSaved saved;
};

struct HcPostGrad {
  Tensor out;            // [T, D]
  Tensor coefficients;   // [T, C]: dpost and dcomb; the pre part is zero
};

struct HcPreGrad {
  Tensor streams;            // [T, M, D]
  Tensor fn, base, scale;    // sums over tokens in the accumulate dtype; undefined unless asked for
};

/// Backward of one site: the gradient of its streams by both paths (comb and y) and through the coefficients.
struct HcPreBackwardArgs {
  const Tensor& grad_y;              // [T, D]
  const Tensor& grad_streams;        // [T, M, D] gradient of the site's output; undefined for a head
  const Tensor& grad_coefficients;   // [T, C] from the post step; undefined for a head
  const Tensor& streams;             // [T, M, D] the site's input
  const HcSaved& saved;
  const HcTensors& weights;
  const HcConfig& config;
  bool weight_grads = true;
};

/// streams [T, M, D] -> y [T, D]; `head` has only the pre coefficients.
struct HcPreKernel {
  static constexpr auto kName = "hc_pre";
  using Function = HcPre(const Tensor& streams, const HcTensors& weights, const HcConfig& config, bool head);
};

/// Y[k] = post_k * out + sum_j comb[j, k] * X[j]
struct HcPostKernel {
  static constexpr auto kName = "hc_post";
  using Function = Tensor(const Tensor& streams, const Tensor& out, const Tensor& coefficients);
};

/// The end of a site and the beginning of the next one, one call for HcPostKernel, HcPreKernel and RmsNorm: decoding is many calls on few numbers.
struct HcNextArgs {
  const Tensor& streams;             // [T, M, D]  of the site that ends
  const Tensor& out;                 // [T, D]
  const Tensor& coefficients;        // [T, C]
  const HcTensors& weights;          // of the next site
  const Tensor& norm;                // [D]
  const HcConfig& config;
};
struct HcNext {
  Tensor streams;                    // [T, M, D]  between the two
  HcPre pre;
  Tensor u, rstd;                    // [T, D], [T]: normed y
};
struct HcNextKernel {
  static constexpr auto kName = "hc_next";
  using Function = HcNext(const HcNextArgs& args);
};

struct HcPostBackwardKernel {
  static constexpr auto kName = "hc_post_backward";
  using Function = HcPostGrad(const Tensor& grad_streams, const Tensor& streams, const Tensor& out, const Tensor& coefficients);
};

struct HcPreBackwardKernel {
  static constexpr auto kName = "hc_pre_backward";
  using Function = HcPreGrad(const HcPreBackwardArgs& args);
};

namespace reference {

/// Projects logits onto (almost) doubly stochastic matrices.  [..., M, M] -> [..., M, M]
/// The last operation is a column normalisation: columns sum to 1, rows only nearly so.
Tensor sinkhorn(const Tensor& logits, int64_t iters, double eps);
/// d logits from d result, by unrolling the steps in reverse.
Tensor sinkhorn_backward(const Tensor& grad, const Tensor& logits, int64_t iters, double eps);

HcPreKernel::Function hc_pre;
HcPostKernel::Function hc_post;
HcNextKernel::Function hc_next;
HcPostBackwardKernel::Function hc_post_backward;
HcPreBackwardKernel::Function hc_pre_backward;

}  // namespace reference

}  // namespace temper
