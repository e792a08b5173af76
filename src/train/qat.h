#pragma once
// Quantisation-aware training: the model computes with the weights that an export would hold, gradients go to the fp32
// masters unchanged (straight-through).  Source: docs/deepseek_v4.md 3.10.

#include <functional>
#include <string>

#include "base/config.h"
#include "model/deepseek_v4/tensor_map.h"
#include "tensor/tensor.h"

namespace temper {

struct QatConfig {
  bool enabled = false, indexer = false;

  template <class Visitor> void visit(Visitor& v) {
    v("enabled", enabled,
      "compute with weights rounded as the model's official layout stores them: FP4 experts, FP8 projections, bf16 for the rest; "
      "what is exported is then exactly what was trained");
    v("indexer", indexer, "compute the indexers' queries and keys in FP4 behind a Hadamard transform, as deployment does");
  }
};

/// The value to compute with, for ModelWeights::refresh_compute: `master` as the official layout of its row stores it
/// (FP4 block 32, FP8 block 128, bf16; F32 rows unchanged).  Same dtype as `master`.
Tensor as_stored(const TensorRow& row, const Tensor& master);

}  // namespace temper
