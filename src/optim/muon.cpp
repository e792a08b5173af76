#include "optim/muon.h"

#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace temper {
namespace {

struct Coefficients {
  double a, b, c;
};
constexpr Coefficients kFast{3.4445, -4.7750, 2.0315};   // grows small singular values
constexpr Coefficients kStable{2.0, -1.5, 0.5};          // settles all of them at 1
constexpr int kFastIterations = 8, kStableIterations = 2;
constexpr double kSmallest = 1e-35;                      // a zero gradient stays zero

// [n, p, q] with p <= q -> the same; x is scaled to Frobenius norm 1 before the products' dtype takes over.
Tensor hybrid_newton_schulz(const Tensor& g, at::ScalarType dtype) {
  // First the largest entry to 1: the squares of a tiny gradient would vanish, and its norm with them.
  const Tensor largest = at::linalg_vector_norm(g, std::numeric_limits<double>::infinity(), at::IntArrayRef({1, 2}), /*keepdim=*/true).clamp_min_(kSmallest);
  const Tensor scaled = g.div(largest);                                          // [n, p, q]
  const Tensor norm = at::linalg_vector_norm(scaled, 2, at::IntArrayRef({1, 2}), /*keepdim=*/true).clamp_min_(kSmallest);
  Tensor x = scaled.div(norm).to(dtype);                                         // [n, p, q]
  for (int i = 0; i < kFastIterations + kStableIterations; ++i) {
    const auto [a, b, c] = i < kFastIterations ? kFast : kStable;
    const Tensor gram = at::bmm(x, x.transpose(1, 2));                           // [n, p, p]
    const Tensor polynomial = at::baddbmm(gram, gram, gram, /*beta=*/b, /*alpha=*/c);
    x = at::baddbmm(x, polynomial, x, /*beta=*/a, /*alpha=*/1.0);
  }
  return x;
}

}  // namespace

Tensor orthogonalise(const Tensor& g, at::ScalarType dtype) {
  const Tensor flat = g.reshape({-1, g.size(-2), g.size(-1)});
  const bool tall = g.size(-2) > g.size(-1);
  const Tensor wide = tall ? flat.transpose(1, 2).contiguous() : flat;
  const Tensor x = hybrid_newton_schulz(wide, dtype).to(g.scalar_type());
  return (tall ? x.transpose(1, 2) : x).reshape(g.sizes());
}

void muon_step_batch(std::span<MuonMatrix> matrices, const MuonStep& step, const MuonConfig& config) {
  if (matrices.empty()) return;
  const int64_t p = std::min(matrices[0].w.size(0), matrices[0].w.size(1));
  const int64_t q = std::max(matrices[0].w.size(0), matrices[0].w.size(1));
  const auto wide = [](const Tensor& t) { return t.size(0) > t.size(1) ? t.t() : t; };

  Tensor direction = at::empty({static_cast<int64_t>(matrices.size()), p, q}, matrices[0].w.options());
  for (size_t i = 0; i < matrices.size(); ++i) {
    auto& [w, m, g] = matrices[i];
    expect_same_shape("muon_step", {w, m, g});
    m.mul_(config.momentum).add_(g, step.grad_scale);
    Tensor row = direction[static_cast<int64_t>(i)];
    expect_shape(wide(m), {p, q}, "muon_step");
    row.copy_(wide(m)).mul_(config.momentum);
    row.add_(wide(g), step.grad_scale);
  }
  const Tensor n = hybrid_newton_schulz(direction, step.dtype).to(at::kFloat);   // [matrices, p, q]
  const double size = step.lr * config.update_rms * std::sqrt(static_cast<double>(q));
  for (size_t i = 0; i < matrices.size(); ++i) {
    Tensor& w = matrices[i].w;
    w.mul_(1.0 - step.lr * config.weight_decay);
    wide(w).add_(n[static_cast<int64_t>(i)], -size);
  }
}

void muon_step(Tensor& w, Tensor& m, const Tensor& g, const MuonStep& step, const MuonConfig& config) {
  MuonMatrix one{w, m, g};
  muon_step_batch({&one, 1}, step, config);
}

}  // namespace temper
