#include "rollout/generation_benchmark.h"

#include <gtest/gtest.h>

#include "support/tiny_model.h"

namespace temper {
namespace {

TEST(GenerationBenchmark, MeasuresDecodingApartFromThePrompts) {
  const GenerationBenchmark result =
      benchmark_generation(test::tiny_config(), {.prompt_length = 5, .batch = 3, .new_tokens = 4, .repeats = 1, .dtype = at::kFloat});
  EXPECT_GT(result.prefill_tokens_per_second, 0);
  EXPECT_GT(result.allocations_per_token, 0);
  EXPECT_GT(result.rss_bytes, 1 << 20);
  double of_model = 0;
  for (const auto& [place, seconds] : result.profile) {
    EXPECT_GE(seconds, 0) << place.first << " " << place.second;
    if (place.first == "attention" || place.first == "ffn") of_model += seconds;
  }
  EXPECT_GT(of_model, 0);
}

}  // namespace
}  // namespace temper
