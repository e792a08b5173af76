#include "optim/grad_clip.h"

#include <ATen/ops/sum.h>

#include "kernels/cpu/sum_of_squares.h"

namespace temper {

double sum_of_squares(const Tensor& t) {
  if (t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous())
    return kernels::cpu::sum_of_squares(t.const_data_ptr<float>(), t.numel());
  return t.to(at::kDouble).square().sum().item<double>();
}

double clip_factor(double norm, double max_norm) {
  return max_norm > 0 && norm > max_norm ? max_norm / norm : 1.0;
}

}  // namespace temper
