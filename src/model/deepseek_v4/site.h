#pragma once
// One hyper-connection site: streams -> y -> norm -> sub-layer -> streams.  docs/deepseek_v4.md, "Hyper-connections".
//   T tokens   M hc_mult   D hidden_size

#include "model/deepseek_v4/config.h"
#include "ops/hyper_connection.h"

namespace temper {

struct SiteWeights {
  HyperConnectionWeights hc;
  Weight norm;   // [D]
};

/// `streams` is always kept; the rest is empty until entered, and dropped where the site is recomputed.  `u` is dropped everywhere: it is
/// y in another scale (site_input).
struct SiteSaved {
  Tensor streams;   // [T, M, D]
  HcSaved hc;
  Tensor y, rstd;   // [T, D], [T]: input of the norm
  Tensor u;         // [T, D]: input of the sub-layer
  Tensor out;       // [T, D]: its output
};

HcConfig hc_config(const ModelConfig& config);

/// Sets everything but `out`; `u` is what the sub-layer takes.
SiteSaved enter_site(const Tensor& streams, const SiteWeights& weights, const ModelConfig& config);
/// u [T, D] once more, from y.
Tensor site_input(const SiteSaved& saved, const SiteWeights& weights, const ModelConfig& config);
/// Keeps `out`; -> the next streams [T, M, D].
Tensor leave_site(SiteSaved& saved, const Tensor& out);

/// leave_site(saved, out), then enter_site of the next site, whose weights these are; in one call.
SiteSaved next_site(SiteSaved& saved, const Tensor& out, const SiteWeights& weights, const ModelConfig& config);

/// grad_next [T, M, D] -> gradients of `out` and of the coefficients.
HcPostGrad leave_site_backward(const Tensor& grad_next, const SiteSaved& saved);
/// grad_u [T, D] -> gradient of the streams [T, M, D]; adds to the weights' grads.
struct EnterSiteBackward {
  const Tensor& grad_u;
  const Tensor& grad_next;
  const Tensor& grad_coefficients;
  const SiteSaved& saved;
};
Tensor enter_site_backward(const EnterSiteBackward& args, const SiteWeights& weights, const ModelConfig& config);

}  // namespace temper
