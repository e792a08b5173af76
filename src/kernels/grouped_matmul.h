#pragma once
// Matrix products of row groups, each with a matrix of its own: the experts' GEMMs, and with one group a plain linear layer.
//   N rows   G groups   O out   I in;  rows of group g are [offsets[g], offsets[g + 1])
// bf16 operands are multiplied exactly and summed in fp32.  Versions: reference/grouped_matmul.cpp, cpu/grouped_matmul.cpp.

#include <vector>

#include "kernels/registry.h"

namespace temper {

/// x [N, I], weight [G, O, I] -> [N, O] = x_g weight_g^T, in `out_dtype`.
struct GroupedMatmul {
  static constexpr auto kName = "grouped_matmul";
  using Function = Tensor(const Tensor& x, const Tensor& weight, const std::vector<int64_t>& offsets, at::ScalarType out_dtype);
};

/// Several products, y of each as of GroupedMatmul alone.  In one call they share the threads where they have few rows.
struct GroupedPart {
  Tensor x, weight;
  std::vector<int64_t> offsets;
};
struct GroupedMatmuls {
  static constexpr auto kName = "grouped_matmuls";
  using Function = std::vector<Tensor>(const std::vector<GroupedPart>& parts, at::ScalarType out_dtype);
};

/// grad_y [N, O], weight [G, O, I] -> grad_x [N, I] = grad_y_g weight_g, in `out_dtype`.
struct GroupedMatmulGradInput {
  static constexpr auto kName = "grouped_matmul_grad_input";
  using Function = Tensor(const Tensor& grad_y, const Tensor& weight, const std::vector<int64_t>& offsets, at::ScalarType out_dtype);
};

/// grad_weight [G, O, I] (accumulate dtype) = grad_y_g^T x_g (0 for a group without rows), or +=.
struct GroupedMatmulGradWeight {
  static constexpr auto kName = "grouped_matmul_grad_weight";
  using Function = void(const Tensor& grad_y, const Tensor& x, const std::vector<int64_t>& offsets, const Tensor& grad_weight, bool add);
};

namespace reference {
GroupedMatmul::Function grouped_matmul;
GroupedMatmuls::Function grouped_matmuls;
GroupedMatmulGradInput::Function grouped_matmul_grad_input;
GroupedMatmulGradWeight::Function grouped_matmul_grad_weight;
}  // namespace reference

}  // namespace temper
