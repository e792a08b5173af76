#include "kernels/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/square.h>
#include <ATen/ops/sum.h>

namespace temper {

std::pair<Tensor, Tensor> reference::rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  const Tensor wide = to_accumulate(x);                                            // [..., N]
  const Tensor rstd = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps);   // [..., 1]
  Tensor y = wide * rstd;
  if (weight.defined()) y = y * to_accumulate(weight);
  return {y.to(x.scalar_type()), rstd.squeeze(-1)};
}

Tensor reference::rms_norm_backward(const Tensor& grad_y, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                                    const Tensor& grad_weight) {
  const Tensor wide = to_accumulate(x), dy = to_accumulate(grad_y), scale = rstd.unsqueeze(-1);
  if (grad_weight.defined()) grad_weight.add_((dy * wide * scale).reshape({-1, x.size(-1)}).sum(0));
  const Tensor g = weight.defined() ? dy * to_accumulate(weight) : dy;
  const Tensor dot = (g * wide).sum(-1, /*keepdim=*/true);
  return (scale * g - scale.pow(3) / static_cast<double>(x.size(-1)) * dot * wide).to(x.scalar_type());
}

namespace {
const ReferenceKernel<RmsNorm> forward_registered{&reference::rms_norm};
const ReferenceKernel<RmsNormBackward> backward_registered{&reference::rms_norm_backward};
}  // namespace

}  // namespace temper
