// Muon's CPU kernel, which does two iterations at once on Gram matrices, against Algorithm 1 as it is printed, in float64.

#include "kernels/muon.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/isa.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

TEST(OrthogonaliseKernel, AgreesWithThePrintedAlgorithmOnEveryIsaDtypeAndShape) {
  // Rows below, at and above blocks and strips; more than one block of k; tall and wide.
  const std::pair<int64_t, int64_t> shapes[] = {{1, 3}, {4, 6}, {15, 40}, {48, 96}, {96, 49}, {130, 200}, {200, 130}, {64, 1100}};
  for (const Isa isa : available_isas())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
      for (const auto& [rows, cols] : shapes) {
        const ForceIsa force(isa);
        SCOPED_TRACE(std::string(isa_name(isa)) + " " + dtype_name(dtype) + " " + std::to_string(rows) + "x" + std::to_string(cols));
        const Tensor g = random_tensor({2, rows, cols}, "g", at::kDouble);
        EXPECT_TRUE(close(kernel<Orthogonalise>(g)(g, dtype), reference::orthogonalise(g, at::kDouble), pick(kOrthogonalise, dtype)));
      }
}

// Small matrices of rows that differ in signs: their rounding errors add up instead of cancelling.  Two bf16 iterations at once leave the region from
// where iterations converge for a few of them.
TEST(OrthogonaliseKernel, ConvergesWhereRoundingErrorsAddUp) {
  const int64_t n = 40000;
  const Tensor row = random_tensor({n, 1, 64}, "row", at::kDouble), rest = random_tensor({n, 1, 64}, "rest", at::kDouble);
  const Tensor small = random_tensor({n, 1, 1}, "size", at::kDouble).abs_().mul_(0.02);
  const Tensor first = row + small * rest, second = row - small * rest;
  const Tensor g = at::cat({first, -first, -second, second}, 1);
  // g g^T has the two eigenvalues other than 0 of [[2 f f, 2 f s], [2 f s, 2 s s]], f = first and s = second; the norm is the sum of their roots.
  const auto dot = [](const Tensor& a, const Tensor& b) { return (a * b).sum(at::IntArrayRef({1, 2})); };
  const Tensor ff = dot(first, first), fs = dot(first, second), ss = dot(second, second);
  const Tensor trace = 2 * (ff + ss), root = 2 * (ff * ss - fs * fs).clamp_min(0).sqrt();
  const Tensor two = root > 0.004 * trace;   // the second singular value is large enough to reach 1
  const Tensor nuclear_norm = (trace + 2 * root).sqrt();
  for (const Isa isa : available_isas()) {
    const ForceIsa force(isa);
    SCOPED_TRACE(isa_name(isa));
    const Tensor result = kernel<Orthogonalise>(g)(g, at::kBFloat16);
    const Tensor along = (result * g).sum(at::IntArrayRef({1, 2})) / nuclear_norm;   // 1 for U V^T
    EXPECT_LT(along.max().item<double>(), 1.05);
    EXPECT_GT(along.min().item<double>(), 0.95);
    const Tensor squares = result.square().sum(at::IntArrayRef({1, 2}));
    EXPECT_LT(squares.max().item<double>(), 4.1);
    EXPECT_GT(squares.min().item<double>(), 0.9);
    EXPECT_GT(squares.masked_select(two).min().item<double>(), 1.8);
  }
}

struct Step {
  std::vector<MuonMatrix> matrices;

  Step() {
    const std::pair<int64_t, int64_t> shapes[] = {{48, 96}, {96, 48}, {20, 33}, {160, 160}, {7, 50}};
    for (const auto& [rows, cols] : shapes) {
      const std::string n = std::to_string(matrices.size());
      matrices.push_back({random_tensor({rows, cols}, "w" + n), random_tensor({rows, cols}, "m" + n), random_tensor({rows, cols}, "g" + n), 0.25 * static_cast<double>(matrices.size() + 1)});
    }
  }
};
constexpr MuonConstants constants(at::ScalarType dtype) { return {.lr = 0.02, .momentum = 0.95, .weight_decay = 0.1, .update_rms = 0.18, .dtype = dtype}; }

TEST(MuonUpdateKernel, AgreesWithItsTwinOnEveryIsa) {
  for (const Isa isa : available_isas()) {
    const ForceIsa force(isa);
    SCOPED_TRACE(isa_name(isa));
    Step ours, twin;
    kernel<MuonUpdate>(ours.matrices[0].w)(ours.matrices, constants(at::kFloat));
    reference::muon_update(twin.matrices, constants(at::kFloat));
    for (size_t i = 0; i < ours.matrices.size(); ++i) {
      EXPECT_TRUE(close(ours.matrices[i].m, twin.matrices[i].m, 1e-6)) << i;
      EXPECT_TRUE(close(ours.matrices[i].w, twin.matrices[i].w, pick(kOrthogonalise, at::kFloat))) << i;
    }
  }
}

TEST(MuonUpdateKernel, RepeatsItsBitsAndGivesTheSameOnesToAMatrixAlone) {
  Step first, second, alone;
  kernel<MuonUpdate>(first.matrices[0].w)(first.matrices, constants(at::kBFloat16));
  kernel<MuonUpdate>(first.matrices[0].w)(second.matrices, constants(at::kBFloat16));
  for (const MuonMatrix& matrix : alone.matrices) kernel<MuonUpdate>(matrix.w)({&matrix, 1}, constants(at::kBFloat16));
  for (size_t i = 0; i < first.matrices.size(); ++i) {
    EXPECT_TRUE(same_bits(first.matrices[i].w, second.matrices[i].w)) << i;
    EXPECT_TRUE(same_bits(first.matrices[i].w, alone.matrices[i].w)) << i;
  }
}

TEST(MuonUpdateKernel, WritesTheRoundedCopy) {
  const auto with_copies = [](Step step) {
    for (MuonMatrix& matrix : step.matrices) matrix.copy = at::zeros(matrix.w.sizes(), at::kBFloat16);
    return step;
  };
  const Step ours = with_copies({}), twin = with_copies({});
  kernel<MuonUpdate>(ours.matrices[0].w)(ours.matrices, constants(at::kBFloat16));
  reference::muon_update(twin.matrices, constants(at::kBFloat16));
  for (const Step* step : {&ours, &twin})
    for (const MuonMatrix& matrix : step->matrices) EXPECT_TRUE(same_bits(matrix.copy, matrix.w.to(at::kBFloat16)));
}

TEST(MuonUpdateKernel, AMatrixWhoseProductsThreadsShareIsUpdatedLikeTheRest) {
  const auto make = [] { return MuonMatrix{random_tensor({40, 53000}, "w"), at::zeros({40, 53000}), random_tensor({40, 53000}, "g")}; };
  const MuonMatrix ours = make(), twin = make();
  kernel<MuonUpdate>(ours.w)({&ours, 1}, constants(at::kFloat));
  reference::muon_update({&twin, 1}, constants(at::kFloat));
  EXPECT_TRUE(close(ours.w, twin.w, pick(kOrthogonalise, at::kFloat)));
}

}  // namespace
}  // namespace temper
