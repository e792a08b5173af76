#pragma once
// The mHC sites around a sub-layer, forward and backward.
//   T tokens   M hc_mult (1 to 8)   D hidden_size   C = 2M + M*M
// One site:  (y, saved) = hc_pre(streams);  out = sublayer(y);  next = hc_post(streams, out, saved)
// backward:  (dout, dcoef) = hc_post_backward(dnext, ...);  dy = sublayer backward(dout);  dstreams = hc_pre_backward(dy, dnext, dcoef, ...)
// Streams, y and out have the activation dtype; everything between is fp32 (fp64 in fp64 runs).
// Source: docs/deepseek_v4.md, "Hyper-connections".  Kernels: kernels/hyper_connection.h.

#include "kernels/hyper_connection.h"
#include "tensor/weight.h"

namespace temper {

/// fn [C, M*D], base [C], scale [3]; of a head fn [M, M*D], base [M], scale [1].  All fp32 (fp64 in fp64 runs).
struct HyperConnectionWeights {
  Weight fn, base, scale;
};

/// streams [T, M, D] -> y [T, D] and the coefficients
HcPre hc_pre(const Tensor& streams, const HyperConnectionWeights& weights, const HcConfig& config);
/// Y[k] = post_k * out + sum_j comb[j, k] * X[j].  streams [T, M, D], out [T, D] -> [T, M, D]
Tensor hc_post(const Tensor& streams, const Tensor& out, const HcSaved& saved);
/// hc_post of one site, then hc_pre of the next one (`weights`) and rms_norm of its y with the weight `norm` [D].
HcNext hc_next(const Tensor& streams, const Tensor& out, const HcSaved& saved, const HyperConnectionWeights& weights, const Weight& norm, const HcConfig& config);
HcPostGrad hc_post_backward(const Tensor& grad_next, const Tensor& streams, const Tensor& out, const HcSaved& saved);

struct HcPreBackward {
  const Tensor& grad_y;       // [T, D]
  const Tensor& grad_next;    // [T, M, D] gradient of the site's output streams
  const Tensor& grad_coefficients;
  const Tensor& streams;      // [T, M, D]
  const HcSaved& saved;
};
/// -> gradient of the site's input streams [T, M, D]; adds to the weights' grads.
Tensor hc_pre_backward(const HcPreBackward& args, const HyperConnectionWeights& weights, const HcConfig& config);

/// Collapses the streams before the final norm.  [T, M, D] -> [T, D]
HcPre hc_head(const Tensor& streams, const HyperConnectionWeights& weights, const HcConfig& config);
Tensor hc_head_backward(const Tensor& grad_y, const Tensor& streams, const HcSaved& saved, const HyperConnectionWeights& weights, const HcConfig& config);

}  // namespace temper
