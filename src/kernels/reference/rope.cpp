#include "kernels/rope.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/square.h>
#include <ATen/ops/stack.h>

namespace temper {

Tensor reference::rotate(const Tensor& x, const Rotation& rotation, bool inverse) {
  const int64_t T = rotation.cos.size(0), half = rotation.cos.size(1), dim = x.size(-1);
  const Tensor heads = x.reshape({T, -1, dim});                                                // [T, n, Dh]
  const Tensor pairs = to_accumulate(heads.narrow(-1, dim - 2 * half, 2 * half)).unflatten(-1, {half, 2});
  const Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1);                               // [T, n, R/2]
  const Tensor cos = rotation.cos.unsqueeze(1), sin = (inverse ? -rotation.sin : rotation.sin).unsqueeze(1);
  const Tensor turned = at::stack({a * cos - b * sin, a * sin + b * cos}, -1).flatten(-2);     // [T, n, R]
  return at::cat({heads.narrow(-1, 0, dim - 2 * half), turned.to(x.scalar_type())}, -1).view(x.sizes());
}

void reference::rope(const Tensor& x, const Rotation& rotation, bool inverse, Tensor& out) { out.copy_(rotate(x, rotation, inverse)); }

std::pair<Tensor, Tensor> reference::norm_rope(const Tensor& x, const Rotation& rotation, double eps) {
  const Tensor wide = to_accumulate(x);
  const Tensor rstd = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps);               // [T, H, 1]
  return {rotate(wide * rstd, rotation, /*inverse=*/false).to(x.scalar_type()), rstd.squeeze(-1)};
}

Tensor reference::norm_rope_backward(const Tensor& grad_y, const Tensor& y, const Tensor& rstd, const Rotation& rotation) {
  const Tensor g = to_accumulate(grad_y), wide = to_accumulate(y);
  const Tensor along = (g * wide).mean(-1, /*keepdim=*/true);                                  // [T, H, 1]
  return rotate(rstd.unsqueeze(-1) * (g - wide * along), rotation, /*inverse=*/true).to(y.scalar_type());
}

Tensor reference::head_dots(const Tensor& a, const Tensor& b) { return (to_accumulate(a) * to_accumulate(b)).sum(-1); }

namespace {
const ReferenceKernel<HeadDots> head_dots_registered{&reference::head_dots};
const ReferenceKernel<Rope> rope_registered{&reference::rope};
const ReferenceKernel<NormRope> norm_rope_registered{&reference::norm_rope};
const ReferenceKernel<NormRopeBackward> norm_rope_backward_registered{&reference::norm_rope_backward};
}  // namespace

}  // namespace temper
