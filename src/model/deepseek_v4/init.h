#pragma once
// The weights of a model that starts from nothing.

#include "model/deepseek_v4/weights.h"

namespace temper {

struct InitOptions {
  uint64_t seed = 0;
  double std = 0.006;         // of every matrix and embedding
  double hc_scale = 0.01;     // mHC: all streams start almost equal
};

/// Fills every master: matrices and embeddings N(0, std); norms 1; mHC scale `hc_scale`, base 0; ape, sinks, router bias 0;
/// tid2eid a random choice of top_k distinct experts for each token, with loads over the vocabulary that differ by at most 1.
/// A value depends on (seed, tensor name, index) only.  Refreshes the compute copies.
/// Source  docs/deepseek_v4.md, "Starting from nothing".
void initialise(ModelWeights& weights, const InitOptions& options);

}  // namespace temper
