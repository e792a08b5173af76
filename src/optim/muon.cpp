#include "optim/muon.h"

namespace temper {

Tensor orthogonalise(const Tensor& g, at::ScalarType dtype) {
  const Tensor flat = g.reshape({-1, g.size(-2), g.size(-1)});
  return kernel<Orthogonalise>(flat)(flat, dtype).reshape(g.sizes());
}

void muon_step(std::span<const MuonMatrix> matrices, const MuonStep& step, const MuonConfig& config) {
  if (matrices.empty()) return;
  for (const MuonMatrix& matrix : matrices) {
    expect_same_shape("muon_step", {matrix.w, matrix.m, matrix.g});
    if (matrix.copy.defined()) expect_same_shape("muon_step", {matrix.w, matrix.copy});
  }
  kernel<MuonUpdate>(matrices[0].w)(
      matrices, {.lr = step.lr, .momentum = config.momentum, .weight_decay = config.weight_decay, .update_rms = config.update_rms, .dtype = step.dtype});
}

}  // namespace temper
