#include "eval/held_out.h"

#include <fmt/format.h>

#include <cmath>

#include "base/interrupt.h"
#include "data/data_loader.h"
#include "model/deepseek_v4/model.h"
#include "objective/sft.h"

namespace temper {
namespace {

constexpr int64_t kBatchTokens = 2048;   // samples are put together up to this many

class HeldOut : public Suite {
 public:
  std::string name() const override { return "heldout"; }
  std::vector<MetricInfo> metrics() const override {
    return {{"held_out_loss", "nats per token of held-out text", Direction::kLowerIsBetter, 0.02},
            {"bits_per_byte", "bits to encode one byte of held-out text", Direction::kLowerIsBetter}};
  }
  std::vector<Question> questions() const override { return {}; }
  Json grade(size_t, const Answer&) const override {
    throw Error({.kind = ErrorKind::kConfig,
                 .what = "heldout has no questions to answer",
                 .where = "--suite heldout",
                 .fix = "give --model and --data instead of --responses"});
  }
  std::vector<Outcome> outcomes(const Json& row) const override {
    const double nll = row.at("nll"), tokens = row.at("tokens"), bytes = row.at("bytes");
    return {{"held_out_loss", nll / tokens, tokens}, {"bits_per_byte", nll / M_LN2 / bytes, bytes}};
  }
};

// Places of samples that share a batch.
std::vector<std::vector<int64_t>> groups_of(const SampleStore& samples) {
  std::vector<std::vector<int64_t>> groups;
  int64_t n_tokens = kBatchTokens;
  for (int64_t i = 0; i < samples.size(); ++i) {
    if (n_tokens + samples.length(i) > kBatchTokens || groups.empty()) {
      groups.emplace_back();
      n_tokens = 0;
    }
    groups.back().push_back(i);
    n_tokens += samples.length(i);
  }
  return groups;
}

// The targets' negative log-probabilities, weights and bytes, summed.  `logprobs` stand at the position before their target.
Json row_of(const SampleStore& samples, int64_t sample, const float* logprobs, const Tokenizer& tokenizer) {
  const auto ids = samples.ids(sample);
  const auto weights = samples.weights(sample);
  double nll = 0, tokens = 0;
  std::vector<int32_t> targets;
  for (size_t i = 1; i < ids.size(); ++i) {
    if (weights[i] <= 0) continue;
    nll -= static_cast<double>(logprobs[i - 1]) * weights[i];
    tokens += weights[i];
    targets.push_back(ids[i]);
  }
  if (targets.empty()) return nullptr;
  return {{"key", sample}, {"nll", nll}, {"tokens", tokens}, {"bytes", std::max<size_t>(tokenizer.decode(targets, true).size(), 1)}};
}

}  // namespace

std::unique_ptr<Suite> make_held_out() { return std::make_unique<HeldOut>(); }

SuiteResult held_out_rows(const ModelWeights& weights, const Tokenizer& tokenizer, const SampleStore& samples) {
  const Model model(weights);
  ForwardOptions options;
  options.training = false;
  SuiteResult result;
  result.suite = "heldout";
  for (const std::vector<int64_t>& group : groups_of(samples)) {
    check_interrupt();
    const Batch batch = make_batch(samples, {group});
    const ForwardResult forward = model.forward(batch, options);
    Targets targets = shifted_targets(batch, model.config().vocab_size);
    targets.weights = Tensor();   // weighted below, sample by sample
    const Tensor logprobs = sft_loss_only(forward.hidden, model.head().value, targets).logprobs.to(at::kFloat).contiguous();
    const float* at = logprobs.const_data_ptr<float>();
    for (const int64_t sample : group) {
      Json row = row_of(samples, sample, at, tokenizer);
      at += samples.length(sample);
      if (row.is_null()) {
        ++result.n_missing;
        continue;
      }
      const auto ids = samples.ids(sample);
      result.asked.push_back({row.at("key"), ""});
      result.responses.push_back(tokenizer.decode(ids, true));
      result.rows.push_back(std::move(row));
    }
  }
  return result;
}

}  // namespace temper
