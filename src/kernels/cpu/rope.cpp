#include "kernels/rope.h"

#include <ATen/ops/empty.h>

#include "kernels/cpu/isa/rope.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kGrainElements = 16384;   // fewer are not worth a second thread

RopeRows make_rows(const Tensor& x, const Rotation& rotation, Tensor& out) {
  const int64_t T = rotation.cos.size(0), dim = x.size(-1);
  return {.element = element_of(x), .n_heads = T == 0 ? 0 : x.numel() / (T * dim), .dim = dim, .half = rotation.cos.size(1), .cos = rotation.cos.const_data_ptr(),
          .sin = rotation.sin.const_data_ptr(), .inverse = false, .eps = 0, .x = x.const_data_ptr(), .out = out.data_ptr(), .rstd = nullptr, .grad_y = nullptr};
}

int64_t grain(const RopeRows& rows) { return kGrainElements / std::max<int64_t>(rows.n_heads * rows.dim, 1); }

// Angles in the accumulate dtype of x: a float64 check may share float32 tables.
Rotation as_wide(const Rotation& rotation, const Tensor& x) {
  const at::ScalarType wide = accumulate_dtype(x.scalar_type());
  return {dense(rotation.cos, wide), dense(rotation.sin, wide)};
}

void rope(const Tensor& x_any, const Rotation& rotation_any, bool inverse, Tensor& out_any) {
  const Tensor x = x_any.contiguous();
  const Rotation rotation = as_wide(rotation_any, x);
  Tensor out = out_any.is_contiguous() ? out_any : at::empty(x.sizes(), x.options());
  RopeRows rows = make_rows(x, rotation, out);
  rows.inverse = inverse;
  parallel_pieces(rotation.cos.size(0), grain(rows), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(rope_rows)(rows, begin, end); });
  if (!out_any.is_contiguous()) out_any.copy_(out);
}

std::pair<Tensor, Tensor> norm_rope(const Tensor& x_any, const Rotation& rotation_any, double eps) {
  const Tensor x = x_any.contiguous();
  const Rotation rotation = as_wide(rotation_any, x);
  Tensor out = at::empty(x.sizes(), x.options()), rstd = at::empty(x.sizes().slice(0, 2), rotation.cos.options());
  RopeRows rows = make_rows(x, rotation, out);
  rows.eps = eps;
  rows.rstd = rstd.data_ptr();
  parallel_pieces(x.size(0), grain(rows), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(norm_rope_rows)(rows, begin, end); });
  return {out, rstd};
}

Tensor norm_rope_backward(const Tensor& grad_y_any, const Tensor& y_any, const Tensor& rstd, const Rotation& rotation_any) {
  const Tensor y = y_any.contiguous(), grad_y = grad_y_any.contiguous();
  const Rotation rotation = as_wide(rotation_any, y);
  Tensor grad_x = at::empty(y.sizes(), y.options());
  RopeRows rows = make_rows(y, rotation, grad_x);
  rows.rstd = rstd.data_ptr();
  rows.grad_y = grad_y.const_data_ptr();
  parallel_pieces(y.size(0), grain(rows), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(norm_rope_backward_rows)(rows, begin, end); });
  return grad_x;
}

Tensor head_dots(const Tensor& a_any, const Tensor& b_any) {
  const Tensor a = a_any.contiguous(), b = b_any.contiguous();
  Tensor dots = at::empty(a.sizes().slice(0, a.dim() - 1), a.options().dtype(accumulate_dtype(a.scalar_type())));
  RopeRows rows{.element = element_of(a), .n_heads = 1, .dim = a.size(-1), .half = 0, .cos = nullptr, .sin = nullptr, .inverse = false, .eps = 0,
                .x = a.const_data_ptr(), .out = nullptr, .rstd = dots.data_ptr(), .grad_y = b.const_data_ptr()};
  parallel_pieces(dots.numel(), grain(rows), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(head_dot_rows)(rows, begin, end); });
  return dots;
}

const CpuKernel<Rope, &rope> rope_registered;
const CpuKernel<NormRope, &norm_rope> norm_rope_registered;
const CpuKernel<NormRopeBackward, &norm_rope_backward> norm_rope_backward_registered;
const CpuKernel<HeadDots, &head_dots> head_dots_registered;

}  // namespace
}  // namespace temper
