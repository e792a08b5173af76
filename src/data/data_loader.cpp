#include "data/data_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <system_error>

#include "base/error.h"
#include "base/json_integer.h"
#include "base/rng.h"
#include "tensor/from_list.h"

namespace temper {
namespace {

/// Fisher-Yates with numbers that depend on (seed, name, step) only.
template <class T> void shuffle(std::vector<T>& list, const RandomStream& random) {
  for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[random.below(i, i)]);
}

}  // namespace

Batch make_batch(const SampleStore& store, const std::vector<PackedRow>& rows) {
  std::vector<int64_t> ids, labels;
  std::vector<float> weights;
  Batch batch;
  bool weighted = false;
  for (const PackedRow& row : rows)
    for (const int64_t sample : row) {
      const auto sample_ids = store.ids(sample);
      const auto sample_weights = store.weights(sample);
      batch.document_lengths.push_back(static_cast<int64_t>(sample_ids.size()));
      for (size_t i = 0; i < sample_ids.size(); ++i) {
        const bool trained = i > 0 && sample_weights[i] > 0;
        ids.push_back(sample_ids[i]);
        labels.push_back(trained ? sample_ids[i] : kIgnoredLabel);
        weights.push_back(trained ? sample_weights[i] : 1.0f);
        weighted = weighted || weights.back() != 1.0f;
      }
    }
  batch.token_ids = tensor_of(ids);
  batch.labels = tensor_of(labels);
  if (weighted) batch.label_weights = tensor_of(weights);
  return batch;
}

DataLoader::DataLoader(std::shared_ptr<const SampleStore> store, const DataConfig& config)
    : store_(std::move(store)), config_(config), digest_(store_->digest()) {
  if (store_->size() == 0)
    throw Error({.kind = ErrorKind::kData, .what = "there is nothing to train on: no usable sample", .where = "data.sources",
                 .fix = "check the files; what was skipped, and why, stands in the log and in events.jsonl"});
  for (int64_t i = 0; i < store_->size(); ++i) {
    const auto source = static_cast<size_t>(store_->source(i));
    if (by_source_.size() <= source) by_source_.resize(source + 1);
    by_source_[source].push_back(i);
  }
  if (samples_of_epoch(0).empty())
    throw Error({.kind = ErrorKind::kData, .what = "an epoch would hold no sample", .where = "data.sources[].weight",
                 .fix = "raise the weights: each epoch takes weight * rows of a source, rounded down"});
}

/// Source s with n samples and weight w contributes positions [floor(e w n), floor((e + 1) w n)) of an endless sequence of
/// shuffled passes over it.
std::vector<int64_t> DataLoader::samples_of_epoch(int64_t epoch) const {
  std::vector<int64_t> samples;
  for (size_t source = 0; source < by_source_.size(); ++source) {
    const auto n = static_cast<int64_t>(by_source_[source].size());
    const double weight = source < config_.sources.size() ? config_.sources[source].weight : 1.0;
    const auto border = [&](int64_t e) { return static_cast<int64_t>(std::floor(static_cast<double>(e) * weight * static_cast<double>(n))); };
    for (int64_t position = border(epoch); position < border(epoch + 1);) {
      const int64_t pass = position / n, end = std::min(border(epoch + 1), (pass + 1) * n);
      std::vector<int64_t> order = by_source_[source];
      if (config_.shuffle) shuffle(order, RandomStream(config_.seed, fmt::format("data.pass.{}", source), pass));
      samples.insert(samples.end(), order.begin() + (position - pass * n), order.begin() + (end - pass * n));
      position = end;
    }
  }
  if (config_.shuffle) shuffle(samples, RandomStream(config_.seed, "data.samples", epoch));
  return samples;
}

std::vector<PackedRow> DataLoader::pack_epoch(int64_t epoch) const {
  const std::vector<int64_t> samples = samples_of_epoch(epoch);
  std::vector<PackedRow> rows;
  const auto length = [&](int64_t i) { return store_->length(i); };
  for (size_t begin = 0; begin < samples.size(); begin += config_.packing_window) {
    const size_t end = std::min(samples.size(), begin + static_cast<size_t>(config_.packing_window));
    const std::vector<int64_t> window(samples.begin() + begin, samples.begin() + end);
    if (config_.packing == "none")
      for (const int64_t sample : window) rows.push_back({sample});
    else
      for (PackedRow& row : pack_best_fit(window, length, config_.sequence_length)) rows.push_back(std::move(row));
  }
  // Packing puts the long samples first; the rows of an epoch are mixed again.
  if (config_.shuffle) shuffle(rows, RandomStream(config_.seed, "data.rows", epoch));
  return rows;
}

std::shared_ptr<const DataLoader::Epoch> DataLoader::epoch_at(int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [number, known] : recent_)
    if (number == epoch) return known;
  // The number of rows differs a little between epochs, so an epoch's place needs all before it (lengths only, no tokens).
  std::shared_ptr<Epoch> made;
  for (int64_t e = std::min(epoch, static_cast<int64_t>(starts_.size()) - 1); e <= epoch; ++e) {
    made = std::make_shared<Epoch>();
    made->start = starts_[e];
    made->rows = e == ahead_epoch_ && ahead_.valid() ? ahead_.get() : pack_epoch(e);
    if (static_cast<int64_t>(starts_.size()) == e + 1) {
      const auto n_rows = static_cast<int64_t>(made->rows.size());
      starts_.push_back({.step = made->start.step + (n_rows + config_.rows_per_step() - 1) / config_.rows_per_step(), .row = made->start.row + n_rows});
    }
  }
  recent_.emplace_back(epoch, made);
  if (recent_.size() > 2) recent_.erase(recent_.begin());
  return made;
}

// Starts to pack an epoch, unless it is known, being packed or behind the end.
void DataLoader::pack_ahead(int64_t epoch) const {
  if (config_.epochs > 0 && epoch >= config_.epochs) return;
  const std::lock_guard lock(mutex_);
  const bool known = std::any_of(recent_.begin(), recent_.end(), [&](const auto& entry) { return entry.first == epoch; });
  if (known || ahead_epoch_ == epoch) return;
  try {
    ahead_ = std::async(std::launch::async, [this, epoch] { return pack_epoch(epoch); });
    ahead_epoch_ = epoch;
  } catch (const std::system_error&) {
    ahead_epoch_ = -1;   // no thread could be started: packed when needed
  }
}

DataLoader::EpochStart DataLoader::start_of(int64_t epoch) const {
  {
    const std::lock_guard lock(mutex_);
    if (static_cast<int64_t>(starts_.size()) > epoch) return starts_[epoch];
  }
  epoch_at(epoch - 1);
  const std::lock_guard lock(mutex_);
  return starts_[epoch];
}

DataLoader::Place DataLoader::locate(int64_t step) const {
  int64_t epoch = 0;
  while ((config_.epochs == 0 || epoch < config_.epochs) && start_of(epoch + 1).step <= step) ++epoch;
  return {.epoch = epoch, .row = (step - start_of(epoch).step) * config_.rows_per_step()};
}

int64_t DataLoader::n_steps() const { return config_.epochs == 0 ? -1 : start_of(config_.epochs).step; }

std::vector<PackedRow> DataLoader::rows_at(int64_t step) const {
  const Place place = locate(step);
  const auto epoch = epoch_at(place.epoch);
  const auto first = epoch->rows.begin() + place.row;
  std::vector<PackedRow> rows(first, first + std::min(config_.rows_per_step(), epoch->rows.end() - first));
  pack_ahead(place.epoch + 1);
  return rows;
}

StepBatch DataLoader::batch_at(int64_t step) const {
  if (step < 0 || (config_.epochs > 0 && step >= n_steps()))
    throw Error({.kind = ErrorKind::kInternal, .what = fmt::format("step {} of {} asked for", step, n_steps()),
                 .where = "DataLoader::batch_at", .fix = "report this: the loop ran past the end of the data"});
  const std::vector<PackedRow> rows = rows_at(step);
  StepBatch out;
  out.epoch = locate(step).epoch;
  for (size_t begin = 0; begin < rows.size(); begin += config_.micro_batch) {
    const size_t end = std::min(rows.size(), begin + static_cast<size_t>(config_.micro_batch));
    out.micro_batches.push_back(make_batch(*store_, {rows.begin() + begin, rows.begin() + end}));
  }
  for (const PackedRow& row : rows)
    for (const int64_t sample : row) {
      ++out.n_samples;
      out.n_tokens += store_->length(sample);
      const auto weights = store_->weights(sample);
      for (size_t i = 1; i < weights.size(); ++i)
        if (weights[i] > 0) {
          ++out.n_trained_tokens;
          out.trained_weight += weights[i];
        }
    }
  return out;
}

double DataLoader::epochs_before(int64_t step) const {
  const Place place = locate(step);
  if (place.row == 0) return static_cast<double>(place.epoch);
  return static_cast<double>(place.epoch) + static_cast<double>(place.row) / static_cast<double>(epoch_at(place.epoch)->rows.size());
}

/// The settings that decide which rows a step takes.
std::string DataLoader::settings() const {
  std::string weights;
  for (const DataSourceConfig& source : config_.sources) weights += fmt::format(" {}", source.weight);
  return fmt::format("sequence_length {} rows_per_step {} shuffle {} packing {} packing_window {} seed {} weights{}",
                     config_.sequence_length, config_.rows_per_step(), config_.shuffle, config_.packing, config_.packing_window,
                     config_.seed, weights);
}

Json DataLoader::position(int64_t step) const {
  const Place place = locate(step);
  return {{"step", step}, {"epoch", place.epoch}, {"row", place.row}, {"rows_before", start_of(place.epoch).row + place.row}, {"data_digest", digest_}, {"settings", settings()}};
}

/// Until positions held `rows_before`, a step could cross the end of an epoch, and the last rows of all epochs filled one step less.
bool DataLoader::means_the_same_without_rows(int64_t step) const {
  const Place place = locate(step);
  return config_.epochs == 1 || start_of(place.epoch).row + place.row == step * config_.rows_per_step();
}

int64_t DataLoader::resume_step(const Json& position) const {
  const std::string where = "data position of the checkpoint";
  const auto text = [&](const char* key) {
    const Json& value = json_member(position, key, where, ErrorKind::kCheckpoint);
    if (!value.is_string()) throw Error({.kind = ErrorKind::kCheckpoint, .what = fmt::format("\"{}\" is not a text", key), .where = where, .fix = "resume from an earlier checkpoint"});
    return value.get<std::string>();
  };
  const std::string digest = text("data_digest"), then = text("settings");
  const auto refuse = [&](std::string what, std::string fix) {
    throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = where, .fix = std::move(fix)});
  };
  if (digest != digest_)
    refuse(fmt::format("the tokenised data has digest {}, the checkpoint was made with {}", digest_, digest),
           "restore the data, tokenizer and encoding settings of the run, or start a new run folder");
  if (then != settings())
    refuse(fmt::format("the settings of the data order are now \"{}\", the checkpoint was made with \"{}\"", settings(), then),
           "restore these settings, or start a new run folder");
  const auto step = json_integer(position, "step", {0, std::numeric_limits<int64_t>::max() / 2 / config_.rows_per_step()}, where, ErrorKind::kCheckpoint);
  if (!position.contains("rows_before") && !means_the_same_without_rows(step))
    refuse(fmt::format("the checkpoint's {} steps of {} rows went on across the ends of epochs; steps now end with an epoch, so they trained on other rows", step, config_.rows_per_step()),
           "start a new run folder with model.path set to this checkpoint, or finish this run with the version of temper that began it");
  return step;
}

int64_t DataLoader::n_rows_of_first_epoch() const { return static_cast<int64_t>(epoch_at(0)->rows.size()); }

double DataLoader::packing_efficiency() const {
  const auto first = epoch_at(0);
  int64_t tokens = 0;
  for (const PackedRow& row : first->rows)
    for (const int64_t sample : row) tokens += store_->length(sample);
  return static_cast<double>(tokens) / static_cast<double>(static_cast<int64_t>(first->rows.size()) * config_.sequence_length);
}

std::vector<Batch> held_out_batches(const SampleStore& store, const DataConfig& config) {
  const int64_t n = config.held_out_max_rows > 0 ? std::min(config.held_out_max_rows, store.size()) : store.size();
  std::vector<int64_t> samples(n);
  std::iota(samples.begin(), samples.end(), int64_t{0});
  const auto length = [&](int64_t i) { return store.length(i); };
  const std::vector<PackedRow> rows = pack_best_fit(samples, length, config.sequence_length);
  std::vector<Batch> batches;
  for (size_t begin = 0; begin < rows.size(); begin += config.micro_batch) {
    const size_t end = std::min(rows.size(), begin + static_cast<size_t>(config.micro_batch));
    batches.push_back(make_batch(store, {rows.begin() + begin, rows.begin() + end}));
  }
  return batches;
}

}  // namespace temper
