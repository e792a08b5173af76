#pragma once
// A model into memory.

#include "checkpoint/weight_source.h"
#include "model/deepseek_v4/weights.h"

namespace temper {

struct LoadedModel {
  ModelWeights weights;        // masters filled, compute copies refreshed, no gradients
  bool mtp_missing = false;    // the config has MTP layers, the files have not: built without them
};

/// Reads a model folder or a training checkpoint (open_weights) tensor by tensor: besides the weights themselves some
/// tens of MB are in use.  With options.mtp = false, MTP tensors of the files are left out.
LoadedModel load_model(const fs::path& path, WeightsOptions options = {});

}  // namespace temper
