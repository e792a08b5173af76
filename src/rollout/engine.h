#pragma once
// Generates answers for many prompts at once: prompts are read in chunks, then every step adds one token to each running
// sequence; a finished one makes room for the next request at once.  Where the weights stay in the processor's cache, many requests
// are shared out among the threads, each with a batch of its own: its small operations then never wait for another thread.  Larger
// weights come from memory in every step, so there all threads share the products of one batch, and each weight is read once.

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"
#include "data/tokenizer.h"
#include "kernels/compact_weights.h"
#include "rollout/cached_forward.h"
#include "rollout/sampler.h"

namespace temper {

/// The longest answer that may be asked for; memory sets a lower limit.
inline constexpr int64_t kMostNewTokens = std::numeric_limits<int32_t>::max();

struct Request {
  std::vector<int64_t> prompt_ids = {};    // not empty
  SamplingConfig sampling = {};
  int64_t max_new_tokens = 256;
  std::vector<int64_t> stop_ids = {};      // end the answer; the last of Response::ids, not in its text
  std::vector<std::string> stop_strings = {};   // end the answer; not in its text
  uint64_t index = 0;                      // with sampling.seed the key of its random numbers
};

enum class FinishReason { kStop, kLength, kCancelled };
const char* finish_reason_name(FinishReason reason);   // "stop", "length", "cancelled"

struct Response {
  std::vector<int64_t> ids;      // new tokens
  std::string text;              // their text without control tokens and stop strings; valid UTF-8
  FinishReason finish_reason = FinishReason::kLength;
  std::vector<float> logprobs;   // natural logs of ids' probabilities under the unmodified logits (temperature 1, nothing cut)
};

struct EngineConfig {
  int64_t max_batch = 32;        // sequences at a time, of each batch
  int64_t prefill_tokens = 512;  // most prompt tokens in one step
  bool fp4_indexer = false;      // as CachedForwardOptions
  int64_t cache_bytes = last_cache_bytes();   // more weights than this are read once a step, for one batch that all threads work on
  int64_t compact_from = 512;    // such weights are made compact first where at least so many new tokens are wanted (kernels/compact_weights.h),
  int64_t memory_bytes = available_bytes();   // and the compact ones take less than half of this
};

/// Of the weights that decoding reads in every step; empty where CompactWeights::pays is false.
CompactWeights compact_copies(const ModelWeights& weights);

/// Called after each token of a request (by its place in the list) with the text that can be shown now: whole characters,
/// perhaps none.  false cancels the request.
using StreamCallback = std::function<bool(size_t request, std::string_view text)>;
/// Called after each step, by one thread at a time: finished requests and new tokens so far.
using ProgressCallback = std::function<void(int64_t n_finished, int64_t n_new_tokens)>;
/// Called when a request is finished, by one thread at a time.  What it throws ends the generation.
using FinishedCallback = std::function<void(size_t request, const Response& response)>;

/// Threads: one call at a time.
class Engine {
 public:
  /// Both must outlive it.  Error{kCheckpoint} if the tokenizer has more tokens than the model.
  Engine(const ModelWeights& weights, const Tokenizer& tokenizer, EngineConfig config = {});

  /// Responses in the order of the requests.  A response depends on its own request only (but for rounding: the order of
  /// sums in matrix products may depend on the batch).
  /// Errors  kData for an empty prompt or an id outside the vocabulary; kConfig for sampling values out of bounds;
  ///         kResource where the cache for the longest sequences does not fit into the free memory; kNumerics for NaN logits.  Throws Interrupted on Ctrl-C unless `stream` is given (then it decides).
  std::vector<Response> generate(const std::vector<Request>& requests, const StreamCallback& stream = {}, const ProgressCallback& progress = {},
                                 const FinishedCallback& finished = {});

 private:
  struct Sequence;
  struct Work;
  void work_through(Work& work, int64_t n_slots) const;
  std::vector<SlotTokens> next_chunks(std::vector<std::unique_ptr<Sequence>>& slots, KvCache& cache, Work& work) const;
  void check(const std::vector<Request>& requests) const;
  void take(Sequence& sequence, int64_t id, float logprob, const StreamCallback& stream) const;

  const ModelWeights& weights_;
  const Tokenizer& tokenizer_;
  EngineConfig config_;
  CachedForward forward_;
};

}  // namespace temper
