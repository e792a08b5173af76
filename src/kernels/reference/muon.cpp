#include "kernels/muon.h"

#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace temper {
namespace {

using namespace newton_schulz;

// One batch of products holds about four tensors of this many elements.
constexpr int64_t kBatchElements = int64_t{4} << 20;

// The iterations of Algorithm 1.  x [n, p, q] with p <= q, of norm 1 in the products' dtype.
Tensor iterate(Tensor x) {
  for (int i = 0; i < kFastIterations + kStableIterations; ++i) {
    const auto [a, b, c] = i < kFastIterations ? kFast : kStable;
    const Tensor gram = at::bmm(x, x.transpose(1, 2));                           // [n, p, p]
    const Tensor polynomial = at::baddbmm(gram, gram, gram, /*beta=*/b, /*alpha=*/c);
    x = at::baddbmm(x, polynomial, x, /*beta=*/a, /*alpha=*/1.0);
  }
  return x;
}

Tensor wide(const Tensor& t) { return t.size(-2) > t.size(-1) ? t.transpose(-2, -1) : t; }

// Matrices of one shape up to transposition.
void update_batch(std::span<const MuonMatrix> matrices, const MuonConstants& constants) {
  const auto [p, q] = std::minmax({matrices[0].w.size(0), matrices[0].w.size(1)});
  Tensor direction = at::empty({static_cast<int64_t>(matrices.size()), p, q}, matrices[0].w.options());
  for (size_t i = 0; i < matrices.size(); ++i) {
    const auto& [w, m, g, grad_scale, copy] = matrices[i];
    m.mul_(constants.momentum).add_(g, grad_scale);
    direction[static_cast<int64_t>(i)].copy_(wide(m)).mul_(constants.momentum).add_(wide(g), grad_scale);
  }
  const Tensor n = reference::orthogonalise(direction, constants.dtype);   // [matrices, p, q]
  const double size = constants.lr * constants.update_rms * std::sqrt(static_cast<double>(q));
  for (size_t i = 0; i < matrices.size(); ++i) {
    const Tensor& w = matrices[i].w;
    w.mul_(1.0 - constants.lr * constants.weight_decay);
    wide(w).add_(n[static_cast<int64_t>(i)], -size);
    if (matrices[i].copy.defined()) matrices[i].copy.copy_(w);
  }
}

}  // namespace

Tensor reference::unit_norm(const Tensor& g) {
  // First the largest entry to 1: the squares of a tiny gradient would vanish, and its norm with them.
  const auto norm = [](const Tensor& t, double order) { return at::linalg_vector_norm(t, order, at::IntArrayRef({1, 2}), /*keepdim=*/true).clamp_min_(kSmallestNorm); };
  const Tensor scaled = g.div(norm(g, std::numeric_limits<double>::infinity()));
  return scaled.div(norm(scaled, 2));
}

Tensor reference::orthogonalise(const Tensor& g, at::ScalarType dtype) {
  const bool tall = g.size(1) > g.size(2);
  const Tensor x = iterate(unit_norm(wide(g).contiguous()).to(dtype)).to(g.scalar_type());   // [n, p, q]
  return tall ? x.transpose(1, 2) : x;
}

void reference::muon_update(std::span<const MuonMatrix> matrices, const MuonConstants& constants) {
  std::vector<std::vector<MuonMatrix>> batches;
  const auto shape = [](const MuonMatrix& matrix) { return std::minmax({matrix.w.size(0), matrix.w.size(1)}); };
  for (const MuonMatrix& matrix : matrices) {
    const auto has_room = [&](const std::vector<MuonMatrix>& batch) {
      return shape(batch.front()) == shape(matrix) && static_cast<int64_t>(batch.size() + 1) * matrix.w.numel() <= kBatchElements;
    };
    const auto found = std::find_if(batches.rbegin(), batches.rend(), has_room);
    if (found == batches.rend()) batches.push_back({matrix});
    else found->push_back(matrix);
  }
  for (const std::vector<MuonMatrix>& batch : batches) update_batch(batch, constants);
}

namespace {
const ReferenceKernel<Orthogonalise> orthogonalise_registered{&reference::orthogonalise};
const ReferenceKernel<MuonUpdate> update_registered{&reference::muon_update};
}  // namespace

}  // namespace temper
