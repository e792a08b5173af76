#include "kernels/rms_norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "kernels/cpu/isa/rms_norm.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kGrainElements = 16384;   // fewer are not worth a second thread

Tensor wide_weight(const Tensor& weight, const Tensor& x) {
  return weight.defined() ? dense(weight, accumulate_dtype(x.scalar_type())) : Tensor();
}
const void* pointer(const Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

std::pair<Tensor, Tensor> rms_norm(const Tensor& x_any, const Tensor& weight_any, double eps) {
  const Tensor x = x_any.contiguous(), weight = wide_weight(weight_any, x);
  Tensor y = at::empty(x.sizes(), x.options()), rstd = at::empty(x.sizes().slice(0, x.dim() - 1), x.options().dtype(accumulate_dtype(x.scalar_type())));
  const RmsNormRows rows{.element = element_of(x), .size = x.size(-1), .eps = eps, .x = x.const_data_ptr(), .weight = pointer(weight),
                         .y = y.data_ptr(), .rstd = rstd.data_ptr(), .grad_y = nullptr, .grad_x = nullptr};
  parallel_pieces(rstd.numel(), kGrainElements / rows.size, [&](int64_t, int64_t begin, int64_t end) {
    TEMPER_ISA_PICK(rms_norm_rows)(rows, begin, end);
  });
  return {y, rstd};
}

Tensor rms_norm_backward(const Tensor& grad_y_any, const Tensor& x_any, const Tensor& weight_any, const Tensor& rstd, const Tensor& grad_weight) {
  const Tensor x = x_any.contiguous(), weight = wide_weight(weight_any, x), grad_y = grad_y_any.contiguous();
  Tensor grad_x = at::empty(x.sizes(), x.options());
  const RmsNormRows rows{.element = element_of(x), .size = x.size(-1), .eps = 0, .x = x.const_data_ptr(), .weight = pointer(weight),
                         .y = nullptr, .rstd = rstd.data_ptr(), .grad_y = grad_y.const_data_ptr(), .grad_x = grad_x.data_ptr()};
  const int64_t n_rows = rstd.numel(), grain = kGrainElements / rows.size;
  Tensor parts;   // [parts, N]: one partial sum for each thread
  if (grad_weight.defined()) parts = at::zeros({count_parts(n_rows, grain), rows.size}, rstd.options());
  parallel_parts(n_rows, grain, [&](int64_t part, int64_t begin, int64_t end) {
    void* sum = parts.defined() ? static_cast<char*>(parts.data_ptr()) + part * rows.size * static_cast<int64_t>(rstd.element_size()) : nullptr;
    TEMPER_ISA_PICK(rms_norm_backward_rows)(rows, sum, begin, end);
  });
  if (grad_weight.defined())
    for (int64_t part = 0; part < parts.size(0); ++part) grad_weight.add_(parts[part]);
  return grad_x;
}

const CpuKernel<RmsNorm, &rms_norm> forward_registered;
const CpuKernel<RmsNormBackward, &rms_norm_backward> backward_registered;

}  // namespace
}  // namespace temper
