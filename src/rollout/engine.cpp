#include "rollout/engine.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "kernels/cross_entropy.h"
#include "kernels/team.h"
#include "model/deepseek_v4/positions.h"
#include "rollout/text_stream.h"
#include "tensor/from_list.h"

namespace temper {
namespace {

// With fewer requests than this for each thread, or with more weights than the cache holds, the threads share the operations of one batch instead.
constexpr int64_t kRequestsPerWorker = 4;

int64_t compute_bytes(const ModelWeights& weights) {
  int64_t sum = 0;
  for (const Parameter& parameter : weights.parameters()) sum += static_cast<int64_t>(parameter.compute.nbytes());
  return sum;
}

KvCacheConfig cache_config(const ModelWeights& weights, const EngineConfig& engine, int64_t n_slots, int64_t max_tokens) {
  return {.n_slots = n_slots, .max_tokens = max_tokens, .max_chunk = engine.prefill_tokens, .dtype = weights.options().compute_dtype};
}

// Before a page of it is touched: the system would end this process, or another one, where memory runs out.
void check_fits(const ModelConfig& model, KvCacheConfig config, int64_t n_workers) {
  config.device = at::kMeta;   // sizes without memory
  const int64_t needed = KvCache(model, config).bytes() * n_workers, available = available_bytes();
  if (needed <= available) return;
  throw Error({.kind = ErrorKind::kResource,
               .what = fmt::format("the cache for {} sequences of up to {} tokens takes {:.1f} GiB, {:.1f} GiB of memory are free", config.n_slots * n_workers, config.max_tokens,
                                   static_cast<double>(needed) / 0x1p30, static_cast<double>(available) / 0x1p30),
               .where = "generation",
               .fix = "lower --max-new-tokens or the batch, or use a machine with more memory"});
}

}  // namespace

CompactWeights compact_copies(const ModelWeights& weights) {
  CompactWeights compact;
  if (!CompactWeights::pays()) return compact;
  weights.for_each_storage([&](const std::string& name, const Weight& weight) {
    if (name.starts_with("layers.") || name == "head") compact.add(weight.value);
  });
  return compact;
}

const char* finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
  }
  return "";
}

// A request that has a slot.
struct Engine::Sequence {
  size_t number;             // place in the list of requests
  const Request& request;
  int64_t slot;
  Response& response;
  TextStream text;
  size_t n_prompt_read = 0;
  bool done = false;

  bool reads_prompt() const { return n_prompt_read < request.prompt_ids.size(); }
};

Engine::Engine(const ModelWeights& weights, const Tokenizer& tokenizer, EngineConfig config)
    : weights_(weights), tokenizer_(tokenizer), config_(config), forward_(weights, {.fp4_indexer = config.fp4_indexer}) {
  check_matches(tokenizer, weights.config().vocab_size, "generation");
}

void Engine::check(const std::vector<Request>& requests) const {
  const auto refuse = [](size_t number, std::string what, std::string fix) {
    throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = fmt::format("request {}", number), .fix = std::move(fix)});
  };
  for (size_t i = 0; i < requests.size(); ++i) {
    check_sampling(requests[i].sampling, fmt::format("request {}", i));
    if (requests[i].max_new_tokens > kMostNewTokens) refuse(i, fmt::format("{} new tokens are asked for", requests[i].max_new_tokens), fmt::format("ask for at most {}", kMostNewTokens));
    if (requests[i].prompt_ids.empty()) refuse(i, "the prompt has no tokens", "give at least one token");
    warn_beyond_positions(fmt::format("the prompt of request {}", i), static_cast<int64_t>(requests[i].prompt_ids.size()), weights_.config().max_positions);
    for (const int64_t id : requests[i].prompt_ids)
      if (id < 0 || id >= weights_.config().vocab_size) refuse(i, fmt::format("token id {} is outside the vocabulary of {}", id, weights_.config().vocab_size), "use the tokenizer of this model");
  }
}

// Adds the next token and decides whether the sequence goes on.
void Engine::take(Sequence& sequence, int64_t new_id, float logprob, const StreamCallback& stream) const {
  const Request& request = sequence.request;
  Response& response = sequence.response;
  response.ids.push_back(new_id);
  response.logprobs.push_back(logprob);
  std::string shown;
  const auto finish = [&](FinishReason reason) {
    response.finish_reason = reason;
    sequence.done = true;
    shown += sequence.text.finish();
    warn_beyond_positions(fmt::format("request {} with its answer", sequence.number), static_cast<int64_t>(request.prompt_ids.size() + response.ids.size()), weights_.config().max_positions);
  };
  if (std::find(request.stop_ids.begin(), request.stop_ids.end(), new_id) != request.stop_ids.end()) {
    finish(FinishReason::kStop);
  } else {
    const int32_t id = static_cast<int32_t>(new_id);
    // Ids without a token (rows that pad the embedding) have no text.
    if (!tokenizer_.is_special(id)) shown = sequence.text.push(tokenizer_.bytes_of(id).value_or(std::string_view()));
    if (sequence.text.stopped()) finish(FinishReason::kStop);
    else if (static_cast<int64_t>(response.ids.size()) >= request.max_new_tokens) finish(FinishReason::kLength);
  }
  if (stream && !stream(sequence.number, shown) && !sequence.done) finish(FinishReason::kCancelled);
}

// The requests of one call: what is left, and how far it is.
struct Engine::Work {
  const std::vector<Request>& requests;
  std::vector<Response>& responses;
  const StreamCallback& stream;
  const ProgressCallback& progress;
  const FinishedCallback& finished;
  std::deque<size_t> waiting;
  int64_t longest = 1;   // tokens of the longest sequence
  int64_t n_finished = 0, n_new_tokens = 0;
  std::mutex mutex = {};   // guards waiting, the counts and the callbacks

  std::optional<size_t> next() {
    const std::lock_guard lock(mutex);
    if (waiting.empty()) return {};
    const size_t number = waiting.front();
    waiting.pop_front();
    return number;
  }
  void finish(size_t number) {
    const std::lock_guard lock(mutex);
    ++n_finished;
    if (finished) finished(number, responses[number]);
  }
  void add(int64_t new_tokens) {
    const std::lock_guard lock(mutex);
    n_new_tokens += new_tokens;
    if (progress) progress(n_finished, n_new_tokens);
  }
};

// Gives free slots to waiting requests and says what each sequence reads in this step.
std::vector<SlotTokens> Engine::next_chunks(std::vector<std::unique_ptr<Sequence>>& slots, KvCache& cache, Work& work) const {
  std::vector<SlotTokens> chunks;
  int64_t prefill_left = config_.prefill_tokens;
  for (int64_t slot = 0; slot < static_cast<int64_t>(slots.size()); ++slot) {
    auto& sequence = slots[static_cast<size_t>(slot)];
    if (!sequence && prefill_left > 0)
      if (const std::optional<size_t> number = work.next()) {
        cache.reset(slot);
        sequence.reset(new Sequence{.number = *number, .request = work.requests[*number], .slot = slot, .response = work.responses[*number],
                                    .text = TextStream(work.requests[*number].stop_strings)});
      }
    if (!sequence) continue;
    if (!sequence->reads_prompt()) {
      chunks.push_back({slot, {sequence->response.ids.back()}});
      continue;
    }
    const auto& prompt = sequence->request.prompt_ids;
    const int64_t n = std::min<int64_t>(prefill_left, static_cast<int64_t>(prompt.size() - sequence->n_prompt_read));
    if (n == 0) continue;   // waits for the next step
    const auto begin = prompt.begin() + static_cast<int64_t>(sequence->n_prompt_read);
    chunks.push_back({slot, std::vector<int64_t>(begin, begin + n)});
    sequence->n_prompt_read += static_cast<size_t>(n);
    prefill_left -= n;
  }
  return chunks;
}

void Engine::work_through(Work& work, int64_t n_slots) const {
  KvCache cache(weights_.config(), cache_config(weights_, config_, n_slots, work.longest));
  std::vector<std::unique_ptr<Sequence>> slots(static_cast<size_t>(n_slots));
  std::vector<int64_t> ids;   // sampled in this step, of each chunk
  while (true) {
    if (!work.stream) check_interrupt();
    const std::vector<SlotTokens> chunks = next_chunks(slots, cache, work);
    if (chunks.empty()) return;
    const Tensor logits = forward_.logits(cache, chunks).to(at::kFloat).cpu().contiguous();   // [chunks, V]
    const size_t V = static_cast<size_t>(logits.size(1));
    ids.assign(chunks.size(), 0);
    Team::run(static_cast<int64_t>(chunks.size()), [&](int64_t part) {
      const size_t i = static_cast<size_t>(part);
      const Sequence& sequence = *slots[static_cast<size_t>(chunks[i].slot)];
      if (sequence.reads_prompt()) return;   // its id 0 stands for nothing
      ids[i] = sample_token({logits.const_data_ptr<float>() + i * V, V}, sequence.request.sampling, sequence.request.index, sequence.response.ids.size());
    });
    const Tensor logprobs = kernel<TargetLogprobs>(logits)(logits, tensor_of(ids)).first;   // [chunks]
    int64_t new_tokens = 0;
    for (size_t i = 0; i < chunks.size(); ++i) {
      auto& sequence = slots[static_cast<size_t>(chunks[i].slot)];
      if (sequence->reads_prompt()) continue;
      take(*sequence, ids[i], logprobs.const_data_ptr<float>()[i], work.stream);
      ++new_tokens;
      if (!sequence->done) continue;
      sequence->response.text = valid_utf8(sequence->text.text());
      work.finish(sequence->number);
      sequence.reset();
    }
    work.add(new_tokens);
  }
}

std::vector<Response> Engine::generate(const std::vector<Request>& requests, const StreamCallback& stream, const ProgressCallback& progress,
                                       const FinishedCallback& finished) {
  check(requests);
  std::vector<Response> responses(requests.size());
  Work work{.requests = requests, .responses = responses, .stream = stream, .progress = progress, .finished = finished, .waiting = {}};
  int64_t most_new_tokens = 0;   // of all answers
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].max_new_tokens <= 0) {   // an empty response
      if (finished) finished(i, responses[i]);
      continue;
    }
    work.waiting.push_back(i);
    most_new_tokens += requests[i].max_new_tokens;
    work.longest = std::max(work.longest, static_cast<int64_t>(requests[i].prompt_ids.size()) + requests[i].max_new_tokens);
  }
  const int64_t n = static_cast<int64_t>(work.waiting.size());
  if (n == 0) return responses;
  const int64_t weight_bytes = compute_bytes(weights_);
  const bool from_memory = weight_bytes > config_.cache_bytes, together = stream || from_memory;
  const int64_t n_workers = together ? 1 : std::clamp<int64_t>(n / kRequestsPerWorker, 1, at::get_num_threads());
  const int64_t n_slots = std::min(config_.max_batch, (n + n_workers - 1) / n_workers);
  check_fits(weights_.config(), cache_config(weights_, config_, n_slots, work.longest), n_workers);
  if (n_workers == 1) {   // its operations use all threads
    Team::stand_by([&] {
      const bool compacts = from_memory && most_new_tokens >= config_.compact_from && weight_bytes < config_.memory_bytes / 2;
      const CompactWeights compact = compacts ? compact_copies(weights_) : CompactWeights();
      const CompactWeights::InUse in_use(compact);
      work_through(work, n_slots);
    });
  } else {
    at::parallel_for(0, n_workers, 1, [&](int64_t, int64_t) { work_through(work, n_slots); });
  }
  return responses;
}

}  // namespace temper
