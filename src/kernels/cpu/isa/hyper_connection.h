#pragma once

#include "kernels/cpu/isa/function.h"

namespace temper {

/// Pointers of mHC (kernels/hyper_connection.h).  A = float, double for kDouble elements; C coefficients of a token.
struct HcRows {
  Element element;
  int64_t M, D, C;
  bool head;                    // C = M: pre alone
  int64_t sinkhorn_iters;
  double hc_eps, rms_norm_eps;
  const void* streams;          // [T, M, D] element
  const void* fn;               // [C, M*D] A
  const void* base;             // [C] A
  const void* scale;            // [3] A, [1] of a head
  void* inv_rms;                // [T] A
  void* mix;                    // [T, C] A
  void* coefficients;           // [T, C] A
  void* y;                      // [T, D] element
  const void* out;              // [T, D] element
  void* next;                   // [T, M, D] element
  // backward
  const void* grad_next;        // [T, M, D] element, null for a head
  const void* grad_y;           // [T, D] element
  void* grad_out;               // [T, D] element
  void* grad_coefficients;      // [T, C] A
  void* grad_streams;           // [T, M, D] element
  // of one part of the tokens: sums over them; all null where no weight is trained
  void* grad_fn;                // [C, M*D] A
  double* grad_base;            // [C]
  double* grad_mix;             // [C] gradient of the logits times mix: what the gradient of scale is summed from
};

inline constexpr int64_t kHcMaxMult = 8;

/// Bytes of scratch, 64-byte aligned, that hc_pre_rows and hc_pre_backward_rows need on each thread.
TEMPER_ISA_FUNCTION(hc_pre_scratch, const HcRows& a, int64_t& bytes)
TEMPER_ISA_FUNCTION(hc_pre_backward_scratch, const HcRows& a, int64_t& bytes)
/// Tokens [begin, end): streams -> y, inv_rms, mix, coefficients.
TEMPER_ISA_FUNCTION(hc_pre_rows, const HcRows& a, void* scratch, int64_t begin, int64_t end)
/// streams, out, coefficients -> next
TEMPER_ISA_FUNCTION(hc_post_rows, const HcRows& a, int64_t begin, int64_t end)
/// grad_next, streams, out, coefficients -> grad_out, grad_coefficients
TEMPER_ISA_FUNCTION(hc_post_backward_rows, const HcRows& a, int64_t begin, int64_t end)
/// grad_y, grad_next, grad_coefficients, streams, saved -> grad_streams, and the sums over these tokens (they are overwritten)
TEMPER_ISA_FUNCTION(hc_pre_backward_rows, const HcRows& a, void* scratch, int64_t begin, int64_t end)

}  // namespace temper
