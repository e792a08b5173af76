#include "rollout/generation_benchmark.h"


#include <algorithm>
#include <ctime>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/process.h"
#include "base/rng.h"
#include "data/tokenizer_file.h"
#include "model/deepseek_v4/init.h"
#include "rollout/engine.h"
#include "tensor/allocator.h"

namespace temper {
namespace {

constexpr int32_t kTextTokens = 256;

// The first ids stand for a byte each, so that answers have a text; the others have none.
Tokenizer random_tokenizer(int64_t vocab_size) {
  TokenizerFile file;
  for (int32_t id = 0; id < std::min<int64_t>(kTextTokens, vocab_size); ++id) {
    file.byte2id[static_cast<size_t>(id)] = id;
    file.tokens.push_back(std::string(1, static_cast<char>(id)));
    file.used.push_back(true);
  }
  for (size_t byte = file.tokens.size(); byte < file.byte2id.size(); ++byte) file.byte2id[byte] = -1;
  file.pre_tokenizer = Json::parse(R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})");
  file.where = "bench generate";
  return Tokenizer::from_file(std::move(file));
}

std::vector<Request> random_requests(const ModelConfig& config, const GenerationBenchmarkOptions& options) {
  std::vector<Request> requests(static_cast<size_t>(options.batch));
  for (size_t i = 0; i < requests.size(); ++i) {
    const RandomStream stream(options.seed, "bench/generate", i);
    for (int64_t t = 0; t < options.prompt_length; ++t)
      requests[i].prompt_ids.push_back(static_cast<int64_t>(stream.below(static_cast<uint64_t>(t), static_cast<uint64_t>(config.vocab_size))));
    requests[i].sampling.temperature = 0;
    requests[i].index = i;
  }
  return requests;
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }   // of the process

// One call of the engine.
struct Measured {
  double seconds = 0, cpu_seconds = 0;
  size_t n_allocations = 0, n_new_blocks = 0;
  Profile::Rows profile;
};

Measured measure(Engine& engine, std::vector<Request> requests, int64_t new_tokens) {
  for (Request& request : requests) request.max_new_tokens = new_tokens;
  Profile profile;
  const AllocatorStats before = allocator_stats();
  const auto start = Clock::now();
  const double cpu_start = cpu_seconds();
  engine.generate(requests);
  Measured measured;
  measured.cpu_seconds = cpu_seconds() - cpu_start;
  measured.seconds = seconds_since(start);
  const AllocatorStats after = allocator_stats();
  measured.n_allocations = after.n_allocations - before.n_allocations;
  measured.n_new_blocks = after.n_new - before.n_new;
  measured.profile = profile.rows();
  return measured;
}

}  // namespace

GenerationBenchmark benchmark_generation(const ModelConfig& config, const GenerationBenchmarkOptions& options) {
  ModelWeights weights(config, {.compute_dtype = options.dtype, .mtp = false});
  initialise(weights, {.seed = options.seed});
  const Tokenizer tokenizer = random_tokenizer(config.vocab_size);
  Engine engine(weights, tokenizer, {.max_batch = options.batch});
  const std::vector<Request> requests = random_requests(config, options);

  measure(engine, requests, options.new_tokens);   // warm-up
  Measured one, all;
  for (int64_t repeat = 0; repeat < options.repeats; ++repeat) {
    check_interrupt();
    const Measured first = measure(engine, requests, 1), whole = measure(engine, requests, options.new_tokens);
    if (repeat == 0 || first.seconds < one.seconds) one = first;
    if (repeat == 0 || whole.seconds < all.seconds) all = whole;
  }

  GenerationBenchmark result;
  const double n_prompt = static_cast<double>(options.batch * options.prompt_length), n_steps = static_cast<double>(options.new_tokens - 1);
  const double n_decoded = n_steps * static_cast<double>(options.batch), decode_seconds = all.seconds - one.seconds;
  result.prefill_tokens_per_second = n_prompt / one.seconds;
  result.decode_tokens_per_second = n_decoded / decode_seconds;
  result.cpu_decode_tokens_per_second = n_decoded / std::max(all.cpu_seconds - one.cpu_seconds, 1e-9);
  result.step_seconds = decode_seconds / n_steps;
  result.allocations_per_token = static_cast<double>(all.n_allocations - one.n_allocations) / n_decoded;
  result.new_blocks_per_token = (static_cast<double>(all.n_new_blocks) - static_cast<double>(one.n_new_blocks)) / n_decoded;
  result.rss_bytes = peak_resident_bytes();
  for (const auto& [place, seconds] : all.profile) {
    const auto found = one.profile.find(place);
    result.profile[place] = std::max(0.0, seconds - (found == one.profile.end() ? 0.0 : found->second));
  }
  return result;
}

}  // namespace temper
