#include "train/step_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "optim/router_bias.h"
#include "tensor/profile.h"

namespace temper {
namespace {

constexpr int64_t kIndexerRatio = 4;   // only this compression has an indexer; its first entry is seen from position 3 on

double item_or_zero(const Tensor& t) { return t.defined() && !t.is_meta() ? t.item<double>() : 0.0; }

}  // namespace

void LossSums::add(const LossSums& other) {
  lm += other.lm;
  balance += other.balance;
  indexer += other.indexer;
  mtp.resize(std::max(mtp.size(), other.mtp.size()), 0.0);
  for (size_t i = 0; i < other.mtp.size(); ++i) mtp[i] += other.mtp[i];
  n_balance_tokens += other.n_balance_tokens;
  n_indexer_queries += other.n_indexer_queries;
  if (expert_tokens.empty()) {
    for (const Tensor& t : other.expert_tokens) expert_tokens.push_back(t.clone());
  } else {
    for (size_t i = 0; i < other.expert_tokens.size(); ++i) expert_tokens[i].add_(other.expert_tokens[i]);
  }
}

std::vector<double> load_ratios(const LossSums& sums) {
  std::vector<double> ratios;
  for (const Tensor& t : sums.expert_tokens) ratios.push_back(t.max().item<double>() * static_cast<double>(t.numel()) / t.sum().item<double>());
  return ratios;
}

StepModel::StepModel(ModelWeights& weights, const StepModelConfig& config) : weights_(weights), config_(config), model_(weights) {}

LossCounts StepModel::count(const std::vector<Batch>& micro_batches) const {
  LossCounts counts;
  counts.mtp.assign(static_cast<size_t>(n_trained_mtp()), 0.0);
  for (const Batch& batch : micro_batches) {
    counts.lm += shifted_targets(batch, vocab_size()).weight_sum;
    for (size_t i = 0; i < counts.mtp.size(); ++i) counts.mtp[i] += shifted_targets(batch, vocab_size(), 2 + static_cast<int64_t>(i)).weight_sum;
    for (const int64_t length : batch.document_lengths) {
      counts.tokens += static_cast<double>(length);
      counts.queries += static_cast<double>(std::max<int64_t>(0, length - (kIndexerRatio - 1)));
    }
  }
  return counts;
}

LossMeans StepModel::means(const LossSums& sums, const LossCounts& counts) const {
  const auto ratio = [](double sum, double count) { return count > 0 ? sum / count : 0.0; };
  LossMeans means;
  means.lm = ratio(sums.lm, counts.lm);
  for (size_t i = 0; i < sums.mtp.size(); ++i) means.mtp += ratio(sums.mtp[i], counts.mtp[i]) / static_cast<double>(sums.mtp.size());
  means.balance = ratio(sums.balance, static_cast<double>(sums.n_balance_tokens));
  means.indexer = ratio(sums.indexer, static_cast<double>(sums.n_indexer_queries));
  means.total = means.lm + config_.mtp_weight * means.mtp + config_.balance_weight * ratio(sums.balance, counts.tokens) +
                config_.indexer_weight * ratio(sums.indexer, counts.queries);
  return means;
}

LossSums StepModel::forward_backward(const Batch& batch, const LossCounts& counts) const {
  const auto scale = [](double weight, double count) { return count > 0 ? weight / count : 0.0; };
  ForwardResult result = model_.forward(batch, {.recompute = config_.recompute,
                                                .mtp = config_.mtp_weight > 0,
                                                .balance_scale = scale(config_.balance_weight, counts.tokens),
                                                .indexer_scale = scale(config_.indexer_weight, counts.queries),
                                                .fp4_indexer = config_.qat.indexer});
  const Weight& head = model_.head();
  const auto loss = [&](const Tensor& hidden, const Targets& targets, double loss_scale) {
    const ProfilePart part("head and loss");
    return sft_loss(hidden, head, targets, loss_scale);
  };
  const SftLoss lm = loss(result.hidden, shifted_targets(batch, vocab_size()), scale(1.0, counts.lm));
  LossSums sums;
  sums.lm = lm.loss_sum;
  sums.balance = item_or_zero(result.balance_sum);
  sums.indexer = item_or_zero(result.indexer_sum);
  std::vector<Tensor> grad_mtp;
  for (size_t i = 0; i < result.mtp_hidden.size(); ++i) {
    const double weight = config_.mtp_weight / static_cast<double>(result.mtp_hidden.size());
    const SftLoss mtp = loss(result.mtp_hidden[i], shifted_targets(batch, vocab_size(), 2 + static_cast<int64_t>(i)), scale(weight, counts.mtp[i]));
    sums.mtp.push_back(mtp.loss_sum);
    grad_mtp.push_back(mtp.grad_hidden);
  }
  sums.n_balance_tokens = result.n_balance_tokens;
  sums.n_indexer_queries = result.n_indexer_queries;
  sums.expert_tokens = result.expert_counts;
  model_.backward(result, lm.grad_hidden, grad_mtp);
  return sums;
}

double StepModel::forward(const Batch& batch) const {
  const ForwardResult result = model_.forward(batch, {.training = false, .recompute = {}, .fp4_indexer = config_.qat.indexer});
  return sft_loss_only(result.hidden, model_.head().value, shifted_targets(batch, vocab_size())).loss_sum;
}

void StepModel::update_router_biases(const LossSums& sums, double speed) {
  const int64_t n_layers = weights_.config().n_layers;
  for (int64_t n = 0; n < static_cast<int64_t>(sums.expert_tokens.size()); ++n) {
    const std::string name = (n < n_layers ? fmt::format("layers.{}", n) : fmt::format("mtp.{}", n - n_layers)) + ".ffn.gate.bias";
    if (!weights_.has(name)) continue;   // hash layers have none
    Tensor bias = weights_.parameter(name).master;
    update_router_bias(bias, sums.expert_tokens[static_cast<size_t>(n)], speed);
  }
}

void StepModel::refresh() {
  const ProfilePart part("optimizer");
  if (config_.qat.enabled) weights_.refresh_compute(as_stored);
  else weights_.refresh_compute();
}

}  // namespace temper
