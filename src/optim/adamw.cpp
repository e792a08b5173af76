#include "optim/adamw.h"

#include <ATen/ops/mul.h>
#include <ATen/ops/sqrt.h>

#include <cmath>

#include "kernels/cpu/adamw.h"

namespace temper {
namespace {

bool is_bf16_array(const Tensor& t) { return t.is_cpu() && t.scalar_type() == at::kBFloat16 && t.is_contiguous(); }
uint16_t* bf16_bits(const Tensor& t) { return t.defined() ? static_cast<uint16_t*>(t.data_ptr()) : nullptr; }

bool fused_applies(const AdamWTensorStep& t) {
  for (const Tensor* x : {&t.w, &t.m, &t.v, &t.g})
    if (!x->is_cpu() || x->scalar_type() != at::kFloat || !x->is_contiguous()) return false;
  return !t.copy.defined() || is_bf16_array(t.copy);
}

double correction(double beta, int64_t step) { return 1.0 - std::pow(beta, static_cast<double>(step)); }

}  // namespace

void adamw_step_reference(AdamWTensorStep& t, const AdamWConfig& config) {
  expect_same_shape("adamw_step", {t.w, t.m, t.v, t.g});
  const Tensor g = at::mul(t.g, t.grad_scale);
  t.m.mul_(config.beta1).add_(g, 1.0 - config.beta1);
  t.v.mul_(config.beta2).addcmul_(g, g, 1.0 - config.beta2);
  const Tensor denominator = at::sqrt(t.v).div_(std::sqrt(correction(config.beta2, t.step))).add_(config.epsilon);
  if (t.decay) t.w.mul_(1.0 - t.lr * config.weight_decay);
  t.w.addcdiv_(t.m, denominator, -t.lr / correction(config.beta1, t.step));
  if (t.copy.defined()) t.copy.copy_(t.w);
}

void adamw_step(std::span<AdamWTensorStep> tensors, const AdamWConfig& config) {
  std::vector<kernels::cpu::AdamWTensor> fused;
  for (AdamWTensorStep& t : tensors) {
    if (t.w.is_meta()) continue;   // the fused update below needs no memory of its own
    if (!fused_applies(t)) {
      adamw_step_reference(t, config);
      continue;
    }
    expect_same_shape("adamw_step", {t.w, t.m, t.v, t.g});
    fused.push_back({.w = t.w.mutable_data_ptr<float>(),
                     .m = t.m.mutable_data_ptr<float>(),
                     .v = t.v.mutable_data_ptr<float>(),
                     .g = t.g.const_data_ptr<float>(),
                     .copy = bf16_bits(t.copy),
                     .size = t.w.numel(),
                     .grad_scale = static_cast<float>(t.grad_scale),
                     .keep = static_cast<float>(t.decay ? 1.0 - t.lr * config.weight_decay : 1.0),
                     .step_size = static_cast<float>(t.lr / correction(config.beta1, t.step)),
                     .inverse_root_correction = static_cast<float>(1.0 / std::sqrt(correction(config.beta2, t.step)))});
  }
  kernels::cpu::adamw(fused, {.beta1 = static_cast<float>(config.beta1),
                              .one_minus_beta1 = static_cast<float>(1.0 - config.beta1),
                              .beta2 = static_cast<float>(config.beta2),
                              .one_minus_beta2 = static_cast<float>(1.0 - config.beta2),
                              .epsilon = static_cast<float>(config.epsilon)});
}

}  // namespace temper
