#include "model/deepseek_v4/site.h"

#include "ops/rms_norm.h"

namespace temper {

HcConfig hc_config(const ModelConfig& config) {
  return {.hc_mult = config.hc_mult, .sinkhorn_iters = config.hc_sinkhorn_iters, .hc_eps = config.hc_eps, .rms_norm_eps = config.rms_norm_eps};
}

SiteSaved enter_site(const Tensor& streams, const SiteWeights& weights, const ModelConfig& config) {
  SiteSaved saved;
  saved.streams = streams;
  HcPre pre = hc_pre(streams, weights.hc, hc_config(config));                                 // y [T, D]
  saved.y = pre.y;
  saved.hc = std::move(pre.saved);
  const RmsNormed normed = rms_norm(saved.y, weights.norm.value, config.rms_norm_eps);        // u [T, D]
  saved.u = normed.y;
  saved.rstd = normed.rstd;
  return saved;
}

Tensor site_input(const SiteSaved& saved, const SiteWeights& weights, const ModelConfig& config) {
  return rms_norm(saved.y, weights.norm.value, config.rms_norm_eps).y;
}

Tensor leave_site(SiteSaved& saved, const Tensor& out) {
  saved.out = out;
  return hc_post(saved.streams, out, saved.hc);                                               // [T, M, D]
}

SiteSaved next_site(SiteSaved& saved, const Tensor& out, const SiteWeights& weights, const ModelConfig& config) {
  saved.out = out;
  HcNext next = hc_next(saved.streams, out, saved.hc, weights.hc, weights.norm, hc_config(config));
  return {.streams = std::move(next.streams), .hc = std::move(next.pre.saved), .y = std::move(next.pre.y), .rstd = std::move(next.rstd), .u = std::move(next.u), .out = {}};
}

HcPostGrad leave_site_backward(const Tensor& grad_next, const SiteSaved& saved) { return hc_post_backward(grad_next, saved.streams, saved.out, saved.hc); }

Tensor enter_site_backward(const EnterSiteBackward& args, const SiteWeights& weights, const ModelConfig& config) {
  const Tensor grad_y = rms_norm_backward(args.grad_u, args.saved.y, args.saved.rstd, weights.norm);
  return hc_pre_backward({.grad_y = grad_y,
                          .grad_next = args.grad_next,
                          .grad_coefficients = args.grad_coefficients,
                          .streams = args.saved.streams,
                          .saved = args.saved.hc},
                         weights.hc, hc_config(config));
}

}  // namespace temper
