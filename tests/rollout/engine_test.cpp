#include "rollout/engine.h"

#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>

#include "model/deepseek_v4/init.h"
#include "support/all_layers_config.h"
#include "support/expect_error.h"
#include "support/golden.h"
#include "support/letters.h"
#include "support/one_thread.h"
#include "support/tensors.h"

namespace temper {
namespace {

// The model of a golden case with a tokenizer of single letters.
struct Fixture {
  test::OneThread one_thread;
  test::Golden golden = test::load_golden("mixed");
  ModelWeights weights = test::golden_weights(golden, at::kFloat);
  Tokenizer tokenizer = test::letter_tokenizer(golden.config.vocab_size);
  std::vector<std::vector<int64_t>> rows = golden.input_ids();

  std::vector<int64_t> prompt(size_t row, int64_t begin, int64_t end) const { return {rows[row].begin() + begin, rows[row].begin() + end}; }
  // Greedy generation that reads everything again for each token.
  std::vector<int64_t> plain_greedy(std::vector<int64_t> ids, int64_t n) const {
    const CachedForward forward(weights);
    std::vector<int64_t> fresh;
    for (int64_t i = 0; i < n; ++i) {
      KvCache cache(golden.config, {.n_slots = 1, .max_tokens = 400, .max_chunk = 400});
      fresh.push_back(forward.logits(cache, {{0, ids}}).argmax().item<int64_t>());
      ids.push_back(fresh.back());
    }
    return fresh;
  }
};

const SamplingConfig kGreedy{.temperature = 0};

TEST(Engine, GreedyAnswersAreThoseOfTheFullForwardPass) {
  const Fixture f;
  Engine engine(f.weights, f.tokenizer, {.max_batch = 2, .prefill_tokens = 16});
  // Prompts shorter and longer than a chunk; answers across the borders of blocks of 4 and of 128 tokens.
  std::vector<Request> requests;
  for (const auto& [begin, end] : std::vector<std::pair<int64_t, int64_t>>{{0, 1}, {3, 126}, {0, 17}})
    requests.push_back({.prompt_ids = f.prompt(0, begin, end), .sampling = kGreedy, .max_new_tokens = 12});
  const std::vector<Response> responses = engine.generate(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(responses[i].ids, f.plain_greedy(requests[i].prompt_ids, 12)) << i;
    EXPECT_EQ(responses[i].finish_reason, FinishReason::kLength);
    EXPECT_EQ(responses[i].logprobs.size(), 12u);
  }
}

TEST(Engine, AnAnswerDoesNotDependOnItsBatch) {
  const Fixture f;
  std::vector<Request> requests;
  for (int64_t i = 0; i < 7; ++i)
    requests.push_back({.prompt_ids = f.prompt(1, i, 3 * i + 5), .sampling = {.temperature = 1.3, .top_p = 0.9, .seed = 5}, .max_new_tokens = 6 + i, .index = static_cast<uint64_t>(i)});
  const std::vector<Response> together = Engine(f.weights, f.tokenizer, {.max_batch = 3, .prefill_tokens = 8}).generate(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    const Response alone = Engine(f.weights, f.tokenizer, {.max_batch = 1}).generate({requests[i]})[0];
    EXPECT_EQ(together[i].ids, alone.ids) << i;
    EXPECT_EQ(together[i].text, alone.text) << i;
  }
}

TEST(Engine, ManyRequestsAreSharedOutAmongThreadsWithTheSameAnswers) {
  const Fixture f;
  std::vector<Request> requests;
  for (int64_t i = 0; i < 12; ++i)
    requests.push_back({.prompt_ids = f.prompt(0, i, 2 * i + 4), .sampling = {.seed = 9}, .max_new_tokens = 5 + i % 4, .index = static_cast<uint64_t>(i)});
  Engine engine(f.weights, f.tokenizer);
  const std::vector<Response> one = engine.generate(requests);
  at::set_num_threads(3);
  int64_t n_finished = 0, n_new_tokens = 0;
  const std::vector<Response> three = engine.generate(requests, {}, [&](int64_t finished, int64_t new_tokens) { n_finished = finished, n_new_tokens = new_tokens; });
  int64_t sum = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(one[i].ids, three[i].ids) << i;
    sum += static_cast<int64_t>(three[i].ids.size());
  }
  const std::vector<Response> together = Engine(f.weights, f.tokenizer, {.cache_bytes = 0}).generate(requests);   // one batch of all threads
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(one[i].ids, together[i].ids) << i;
  EXPECT_EQ(n_finished, 12);
  EXPECT_EQ(n_new_tokens, sum);
}

// A small model whose matrices can be compact.
ModelWeights compactable_weights() {
  ModelConfig config = test::all_layers_config();
  config.vocab_size = 32;
  config.hidden_size = config.q_lora_rank = config.moe_intermediate_size = 64;
  config.head_dim = 32, config.o_lora_rank = 32, config.index_head_dim = 32;
  ModelWeights weights(config, {.compute_dtype = at::kBFloat16, .mtp = false});
  initialise(weights, {.seed = 3});
  return weights;
}

TEST(Engine, CompactWeightsChangeLogitsByRoundingOnly) {
  if (!CompactWeights::pays()) GTEST_SKIP() << "no vectors of 512 bits";
  const ModelWeights weights = compactable_weights();
  const CompactWeights compact = compact_copies(weights);
  EXPECT_GT(compact.bytes(), 3 * weights.weight("layers.1.ffn.experts.w13").value.numel() * 3 / 2);   // three layers' experts and more
  const auto logits = [&] {
    KvCache cache(weights.config(), {.n_slots = 2, .max_tokens = 40, .max_chunk = 40, .dtype = at::kBFloat16});
    const CachedForward forward(weights);
    forward.logits(cache, {{0, {1, 2, 3, 4, 5, 6, 7, 8, 9}}, {1, {4, 3, 2}}});
    return forward.logits(cache, {{0, {10}}, {1, {11}}});
  };
  const Tensor plain = logits();
  const CompactWeights::InUse in_use(compact);
  EXPECT_TRUE(test::close(logits(), plain, test::kOrderOfSums.bfloat16));
}

TEST(Engine, ManyNewTokensAreMadeFromCompactWeights) {
  const ModelWeights weights = compactable_weights();
  const Tokenizer tokenizer = test::letter_tokenizer(weights.config().vocab_size);
  std::vector<Request> requests;
  for (int64_t i = 0; i < 5; ++i)
    requests.push_back({.prompt_ids = {1, 2 + i, 7, 3 * i}, .sampling = {.seed = 4}, .max_new_tokens = 20 + i, .index = static_cast<uint64_t>(i)});
  const auto answers = [&](int64_t compact_from, int64_t memory) {
    return Engine(weights, tokenizer, {.cache_bytes = 0, .compact_from = compact_from, .memory_bytes = memory}).generate(requests);
  };
  const std::vector<Response> plain = answers(111, available_bytes()), compact = answers(110, available_bytes()), no_memory = answers(110, 0);   // 110 are wanted
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(no_memory[i].ids, plain[i].ids) << i;
    EXPECT_EQ(no_memory[i].logprobs, plain[i].logprobs) << i;
    EXPECT_EQ(compact[i].ids.size(), plain[i].ids.size()) << i;
    EXPECT_EQ(compact[i].ids[0], plain[i].ids[0]) << i;
    EXPECT_NEAR(compact[i].logprobs[0], plain[i].logprobs[0], 1e-2) << i;
  }
}

TEST(Engine, SeedsAndIndicesChangeTheDraws) {
  const Fixture f;
  Engine engine(f.weights, f.tokenizer);
  const auto answer = [&](uint64_t seed, uint64_t index) {
    return engine.generate({{.prompt_ids = f.prompt(0, 0, 9), .sampling = {.seed = seed}, .max_new_tokens = 16, .index = index}})[0].ids;
  };
  EXPECT_EQ(answer(1, 0), answer(1, 0));
  EXPECT_NE(answer(1, 0), answer(2, 0));
  EXPECT_NE(answer(1, 0), answer(1, 1));
}

TEST(Engine, StopsAtStopTokensAndStopStrings) {
  const Fixture f;
  Engine engine(f.weights, f.tokenizer);
  const Request free{.prompt_ids = f.prompt(0, 0, 20), .sampling = kGreedy, .max_new_tokens = 24};
  const Response whole = engine.generate({free})[0];
  ASSERT_EQ(whole.ids.size(), 24u);

  Request by_id = free;
  by_id.stop_ids = {whole.ids[7]};
  const Response stopped = engine.generate({by_id})[0];
  const size_t first = static_cast<size_t>(std::find(whole.ids.begin(), whole.ids.end(), whole.ids[7]) - whole.ids.begin());
  EXPECT_EQ(stopped.ids.size(), first + 1);
  EXPECT_EQ(stopped.finish_reason, FinishReason::kStop);
  EXPECT_EQ(stopped.text, whole.text.substr(0, stopped.text.size()));

  ASSERT_GE(whole.text.size(), 12u);
  Request by_text = free;
  by_text.stop_strings = {whole.text.substr(8, 3)};
  const Response cut = engine.generate({by_text})[0];
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(by_text.stop_strings[0])));
  EXPECT_EQ(cut.finish_reason, FinishReason::kStop);
}

TEST(Engine, StreamsTheTextAndCanBeCancelled) {
  const Fixture f;
  Engine engine(f.weights, f.tokenizer);
  const Request request{.prompt_ids = f.prompt(0, 0, 20), .sampling = kGreedy, .max_new_tokens = 24, .stop_ids = {}, .stop_strings = {"zzz"}};
  std::vector<std::string> streamed(2);
  const std::vector<Response> responses = engine.generate({request, request}, [&](size_t number, std::string_view text) {
    streamed[number] += text;
    return number == 0 || streamed[1].size() < 5;
  });
  EXPECT_EQ(streamed[0], responses[0].text);
  EXPECT_EQ(responses[1].finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(responses[1].text, responses[0].text.substr(0, responses[1].text.size()));
  EXPECT_LT(responses[1].ids.size(), 24u);
}

TEST(Engine, LogprobsAreThoseOfTheLogits) {
  const Fixture f;
  const Request request{.prompt_ids = f.prompt(0, 0, 10), .sampling = {.temperature = 0.7, .seed = 3}, .max_new_tokens = 5};
  const Response response = Engine(f.weights, f.tokenizer).generate({request})[0];
  std::vector<int64_t> ids = request.prompt_ids;
  for (size_t i = 0; i < response.ids.size(); ++i) {
    KvCache cache(f.golden.config, {.n_slots = 1, .max_tokens = 40, .max_chunk = 40});
    const Tensor logprobs = CachedForward(f.weights).logits(cache, {{0, ids}})[0].log_softmax(-1);
    EXPECT_NEAR(response.logprobs[i], logprobs[response.ids[i]].item<float>(), 1e-4);
    ids.push_back(response.ids[i]);
  }
}

TEST(Engine, RefusesWhatItCannotDo) {
  const Fixture f;
  Engine engine(f.weights, f.tokenizer);
  EXPECT_ERROR(engine.generate({{.prompt_ids = {}}}), ErrorKind::kData, "no tokens");
  EXPECT_ERROR(engine.generate({{.prompt_ids = {40}}}), ErrorKind::kData, "outside the vocabulary of 40");
  EXPECT_ERROR(engine.generate({{.prompt_ids = {1}, .sampling = {.top_p = 2}}}), ErrorKind::kConfig, "top_p");
  EXPECT_TRUE(engine.generate({}).empty());
  EXPECT_TRUE(engine.generate({{.prompt_ids = {1}, .max_new_tokens = 0}})[0].ids.empty());
}

}  // namespace
}  // namespace temper
