#include "optim/grad_clip.h"

#include <ATen/ops/sum.h>

#include "kernels/cpu/sum_of_squares.h"

namespace temper {

std::vector<double> sums_of_squares(const std::vector<Tensor>& tensors) {
  std::vector<double> sums(tensors.size());
  std::vector<std::span<const float>> arrays;
  std::vector<size_t> places;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    if (t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous()) {
      arrays.emplace_back(t.const_data_ptr<float>(), static_cast<size_t>(t.numel()));
      places.push_back(i);
    } else {
      sums[i] = t.to(at::kDouble).square().sum().item<double>();
    }
  }
  const std::vector<double> fast = kernels::cpu::sums_of_squares(arrays);
  for (size_t i = 0; i < places.size(); ++i) sums[places[i]] = fast[i];
  return sums;
}

double clip_factor(double norm, double max_norm) {
  return max_norm > 0 && norm > max_norm ? max_norm / norm : 1.0;
}

}  // namespace temper
