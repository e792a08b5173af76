#pragma once
// Held-out loss: how well a model predicts text that it was not trained on.

#include <memory>

#include "data/sample_store.h"
#include "data/tokenizer.h"
#include "eval/suite.h"
#include "model/deepseek_v4/weights.h"

namespace temper {

/// The suite "heldout".  It asks nothing; its rows come from held_out_rows.  Rows: key (the sample's place), nll (nats, summed over its
/// trained targets), tokens (their weight), bytes (of their text).  Metrics: held_out_loss, nats per token; bits_per_byte, which may be
/// compared between models with different tokenizers.
std::unique_ptr<Suite> make_held_out();

/// One row a sample.  Samples do not see each other.  REQUIRES at least one sample with a trained target.
SuiteResult held_out_rows(const ModelWeights& weights, const Tokenizer& tokenizer, const SampleStore& samples);

}  // namespace temper
