#pragma once
// The AdamW update in one pass over memory: 16 bytes read and 12 written for each parameter, and 2 for its bf16 copy.

#include <cstdint>
#include <span>

namespace temper::kernels::cpu {

/// One tensor: fp32, contiguous, `size` elements each.
struct AdamWTensor {
  float* w;
  float* m;
  float* v;
  const float* g;
  uint16_t* copy;                  // bf16: the new w rounded to nearest, ties to even; null = none
  int64_t size;
  float grad_scale;
  float keep;                      // 1 - lr * weight_decay
  float step_size;                 // lr / (1 - beta1^t)
  float inverse_root_correction;   // 1 / sqrt(1 - beta2^t)
};

/// What all tensors share.
struct AdamWConstants {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, epsilon;
};

/// to[i] = from[i] rounded as above, for i in [begin, end).
void copy_bf16(const float* from, uint16_t* to, int64_t begin, int64_t end);

/// Updates all tensors in place.  Element-wise, so the result does not depend on the number of threads.
/// Twin: optim/adamw.h adamw_step_reference.
void adamw(std::span<const AdamWTensor> tensors, const AdamWConstants& constants);

}  // namespace temper::kernels::cpu
