#pragma once
// How fast this machine generates text: the engine with a random model, greedy, all answers of one length.

#include "model/deepseek_v4/config.h"
#include "tensor/profile.h"
#include "tensor/tensor.h"

namespace temper {

struct GenerationBenchmarkOptions {
  int64_t prompt_length = 128, batch = 8, new_tokens = 128, repeats = 3;
  at::ScalarType dtype = at::kBFloat16;
  uint64_t seed = 0;
};

/// Two calls of the engine in turn: one new token each, and all of them; the best time of each counts, after one pass to warm up.
///   prefill_tokens_per_second   prompt tokens over the seconds of the first
///   decode_tokens_per_second    tokens after the first over the difference; step_seconds is the time of one for the whole batch
///   cpu_decode_tokens_per_second  the same over the processor time of all threads: the fair figure on a machine that others use
///   allocations_per_token       blocks that tensors asked for, over the tokens after the first
///   new_blocks_per_token        of these, ones that were not kept from earlier steps
///   profile                     seconds of the calling thread, of decoding alone (with more threads it does its share of the batch)
struct GenerationBenchmark {
  double prefill_tokens_per_second = 0, decode_tokens_per_second = 0, cpu_decode_tokens_per_second = 0, step_seconds = 0;
  double allocations_per_token = 0, new_blocks_per_token = 0;
  int64_t rss_bytes = 0;
  Profile::Rows profile;
};
GenerationBenchmark benchmark_generation(const ModelConfig& config, const GenerationBenchmarkOptions& options);

}  // namespace temper
