#pragma once
// From named storages to the structs that the sub-layers take.  Handles only: nothing is copied.  Bind again after
// gradients were enabled or frozen.

#include "model/deepseek_v4/block.h"
#include "model/deepseek_v4/mtp.h"
#include "model/deepseek_v4/weights.h"

namespace temper {

/// Block n of n_blocks(); MTP block i is n_layers + i.
BlockWeights bind_block(const ModelWeights& weights, int64_t n);
/// The main model's head, or that of MTP block `mtp` (>= 0).
HeadWeights bind_head(const ModelWeights& weights, int64_t mtp = -1);
MtpWeights bind_mtp(const ModelWeights& weights, int64_t i);

}  // namespace temper
