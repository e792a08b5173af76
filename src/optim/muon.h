#pragma once
// Muon: momentum whose direction is orthogonalised, for weights that are matrices.

#include <span>
#include <string>

#include "base/config.h"
#include "kernels/muon.h"

namespace temper {

struct MuonConfig {
  double momentum = 0.95;
  double weight_decay = 0.1;   // multiplied by lr
  double update_rms = 0.18;    // RMS of one update before lr; matches AdamW's, so both share one lr
  std::string precision = "auto";

  template <class Visitor> void visit(Visitor& v) {
    v("momentum", momentum, "decay of the momentum buffer, per step", between(0.0, 1.0));
    v("weight_decay", weight_decay, "multiplied by lr, per step", between(0.0, 1e3));
    v("update_rms", update_rms, "RMS of one update before lr; equal to AdamW's so both share one lr", between(0.0, 1e3));
    v("precision", precision, "dtype of the Newton-Schulz products; auto = the dtype the model computes in", one_of({"auto", "float32", "bfloat16"}));
  }
};

/// U V^T for g = U diag(s) V^T, by 8 fast and 2 stable Newton-Schulz iterations.
/// Shapes  g [..., rows, cols] -> the same; leading dimensions are independent matrices.
/// Units   `dtype` is the dtype of the matrix products (bfloat16 is what the V4 report uses); the result is in g's dtype.
/// Source  V4 report, Algorithm 1 (HybridNewtonSchulz); docs/deepseek_v4.md, "Optimizer".
Tensor orthogonalise(const Tensor& g, at::ScalarType dtype);

struct MuonStep {
  double lr;
  at::ScalarType dtype = at::kFloat;   // of the matrix products
};

/// One Muon step on each matrix, in place.
///   m <- momentum * m + grad_scale * g
///   n <- orthogonalise(grad_scale * g + momentum * m)                      (Nesterov)
///   w <- (1 - lr * weight_decay) * w - lr * update_rms * sqrt(max(rows, cols)) * n,  copy <- w
/// Shapes  w, m, g, copy: [rows, cols], fp32 (copy any, undefined for none); one *logical* matrix each (one expert, one of w1/w3), never a fused stack.
/// Units   lr per optimizer step.
/// Errors  Error{kInternal} if the shapes differ.  REQUIRES finite g: train/recovery.h checks it once for all.
/// Source  V4 report, Algorithm 1; docs/deepseek_v4.md, "Optimizer".  Golden values: tests/optim/muon_test.cpp.
void muon_step(std::span<const MuonMatrix> matrices, const MuonStep& step, const MuonConfig& config);

}  // namespace temper
