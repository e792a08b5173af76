#include "model/deepseek_v4/mtp.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace temper {

std::pair<Tensor, HeadSaved> collapse(const Tensor& streams, const HeadWeights& weights, const ModelConfig& config) {
  HcPre pre = hc_head(streams, weights.hc, hc_config(config));                                // y [T, D]
  const RmsNormed normed = rms_norm(pre.y, weights.norm.value, config.rms_norm_eps);          // [T, D]
  return {normed.y, {.streams = streams, .hc = std::move(pre.saved), .y = pre.y, .rstd = normed.rstd}};
}

Tensor collapse_backward(const Tensor& grad_hidden, const HeadSaved& saved, const HeadWeights& weights, const ModelConfig& config) {
  const Tensor grad_y = rms_norm_backward(grad_hidden, saved.y, saved.rstd, weights.norm);
  return hc_head_backward(grad_y, saved.streams, saved.hc, weights.hc, hc_config(config));
}

std::pair<Tensor, MtpInputSaved> mtp_input(const Tensor& streams, const Tensor& embedded, const MtpWeights& weights, const ModelConfig& config) {
  const int64_t T = streams.size(0), M = streams.size(1), D = streams.size(2);
  const RmsNormed e = rms_norm(embedded, weights.enorm.value, config.rms_norm_eps);           // [T, D]
  const RmsNormed h = rms_norm(streams, weights.hnorm.value, config.rms_norm_eps);            // [T, M, D], each stream alone
  const Tensor projected_e = linear(e.y, weights.e_proj.value);                               // [T, D]
  const Tensor projected_h = linear(h.y.view({T * M, D}), weights.h_proj.value).view({T, M, D});
  return {projected_e.unsqueeze(1) + projected_h,
          {.embedded = embedded, .embedded_rstd = e.rstd, .e = e.y, .streams = streams, .streams_rstd = h.rstd, .h = h.y}};
}

MtpInputGrad mtp_input_backward(const Tensor& grad, const MtpInputSaved& saved, const MtpWeights& weights) {
  const int64_t T = grad.size(0), M = grad.size(1), D = grad.size(2);
  const Tensor grad_e = linear_backward(to_accumulate(grad).sum(1).to(grad.scalar_type()), saved.e, weights.e_proj);
  const Tensor grad_h = linear_backward(grad.view({T * M, D}), saved.h.view({T * M, D}), weights.h_proj).view({T, M, D});
  return {.streams = rms_norm_backward(grad_h, saved.streams, saved.streams_rstd, weights.hnorm),
          .embedded = rms_norm_backward(grad_e, saved.embedded, saved.embedded_rstd, weights.enorm)};
}

Tensor shifted_rows(const std::vector<int64_t>& document_lengths, int64_t shift, c10::Device device) {
  int64_t n_tokens = 0;
  for (const int64_t length : document_lengths) n_tokens += length;
  const Tensor rows = at::empty({n_tokens}, at::kLong);
  int64_t* out = rows.mutable_data_ptr<int64_t>();
  int64_t start = 0;
  for (const int64_t length : document_lengths) {
    for (int64_t t = 0; t < length; ++t) *out++ = start + std::min(t + shift, length - 1);
    start += length;
  }
  return rows.to(device);
}

}  // namespace temper
