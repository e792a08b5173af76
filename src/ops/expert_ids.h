#pragma once
// The tables of hash layers: expert ids that come from files.

#include <string>

#include "tensor/tensor.h"

namespace temper {

/// Where rows of a table come from; `first_token` is the first row's.
struct ExpertIdsPlace {
  std::string name, file;
  int64_t first_token = 0;
};

/// Kernels do not check these ids again.
/// Errors  kCheckpoint with tensor, position and value unless every row holds distinct ids in [0, E): a duplicate would count an expert twice.
void check_expert_ids(const Tensor& rows, int64_t n_routed_experts, const ExpertIdsPlace& place);

}  // namespace temper
