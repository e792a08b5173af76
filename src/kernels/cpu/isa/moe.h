#pragma once

#include "kernels/cpu/isa/function.h"

namespace temper {

/// Pointers of SwiGLU (kernels/moe.h).  A = float, double for kDouble elements.
struct SwigluRows {
  Element element;
  int64_t F;
  double limit;              // 0 = no clamp
  const void* gate_up;       // [N, 2F] element
  const void* row_weights;   // [N] A, or null
  void* out;                 // [N, F] element
  const void* grad;          // [N, F] element    backward only, as the following
  void* grad_gate_up;        // [N, 2F] element
  void* grad_row_weights;    // [N] A, or null
};
TEMPER_ISA_FUNCTION(swiglu_rows, const SwigluRows& a, int64_t begin, int64_t end)
TEMPER_ISA_FUNCTION(swiglu_backward_rows, const SwigluRows& a, int64_t begin, int64_t end)

/// out[t] = sum over k of rows[slot2row[t * K + k]], in the order of k, plus extra[t].
struct CombineRows {
  Element element, extra_element;
  int64_t D, K;
  const int64_t* slot2row;
  const void* rows;    // [N, D] element
  const void* extra;   // [T, D] extra_element: the same as element, or A; null = none
  void* out;           // [T, D] element
};
TEMPER_ISA_FUNCTION(combine_rows, const CombineRows& a, int64_t begin, int64_t end)

/// Softmax part of the loss: logits [n, V] A.
struct CrossEntropyRows {
  Element element;       // float or double, of the logits and all sums
  Element out_element;   // of grad_logits: the same, or bf16
  int64_t V;
  const void* logits;
  const int64_t* targets;
  void* logprobs;              // [n]
  void* lse;                   // [n]
  const void* grad_logprobs;   // [n]    backward only, as the following
  void* grad_logits;           // [n, V] out_element
};
TEMPER_ISA_FUNCTION(target_logprobs_rows, const CrossEntropyRows& a, int64_t begin, int64_t end)
TEMPER_ISA_FUNCTION(target_logprobs_backward_rows, const CrossEntropyRows& a, int64_t begin, int64_t end)

}  // namespace temper
