#pragma once
// Samples -> batches.  What step N trains on depends on (configuration, data, N) only, so a resume needs no state but N.

#include <future>
#include <memory>
#include <mutex>
#include <vector>

#include "base/json.h"
#include "data/data_config.h"
#include "data/packing.h"
#include "data/sample_store.h"
#include "tensor/batch.h"

namespace temper {

/// What one optimizer step trains on.
///   micro_batches    at most accumulation_steps of them, each at most micro_batch packed rows, one after another
///   n_trained_tokens targets with a weight above 0 in all of them, known before the first backward
///   trained_weight   sum of those weights; equal to n_trained_tokens when all weights are 1
struct StepBatch {
  std::vector<Batch> micro_batches;
  int64_t n_tokens = 0, n_samples = 0, n_trained_tokens = 0;
  double trained_weight = 0;
  int64_t epoch = 0;   // of its first row
};

/// Concatenates samples to one flat batch.
Batch make_batch(const SampleStore& store, const std::vector<PackedRow>& rows);

/// Orders, packs and serves the samples of a store.
///
/// An epoch holds every sample of a source `weight` times (a fraction is a moving part of the source, so that every sample
/// comes up equally often); its order is drawn from (seed, epoch); rows are packed inside windows of `packing_window`
/// samples and then shuffled; while one epoch is served, a thread packs the next.  A step takes the next rows_per_step rows of its epoch, and the last
/// step of each epoch what is left: no step crosses the end of an epoch, so step N does not depend on how many epochs follow.
///
/// Errors   Error{kData} for an empty store.  REQUIRES samples not longer than sequence_length.
/// Threads  const methods from any thread.
class DataLoader {
 public:
  DataLoader(std::shared_ptr<const SampleStore> store, const DataConfig& config);

  /// Optimizer steps in `epochs` epochs; -1 if epochs = 0 (no end).
  int64_t n_steps() const;
  /// REQUIRES step >= 0 and, if there is an end, step < n_steps().
  StepBatch batch_at(int64_t step) const;
  /// The samples of that step, row by row.
  std::vector<PackedRow> rows_at(int64_t step) const;
  /// Epochs done before `step`: 1.5 = in the middle of the second; whole where an epoch ends.
  double epochs_before(int64_t step) const;

  /// What a checkpoint notes when `step` is the next one: step, epoch, row in it, rows before it in all, digests of data and settings.
  Json position(int64_t step) const;
  /// The step to go on with.  Error{kData} if the data or a setting that decides the order has changed since, or if an earlier version gave
  /// these steps other rows.
  int64_t resume_step(const Json& position) const;

  const SampleStore& store() const { return *store_; }
  /// Tokens over room, of the rows of epoch 0.
  double packing_efficiency() const;
  int64_t n_rows_of_first_epoch() const;

 private:
  struct EpochStart {
    int64_t step = 0, row = 0;   // numbers of its first step and row, counted from the start of epoch 0
  };
  struct Epoch {
    EpochStart start;
    std::vector<PackedRow> rows;
  };
  struct Place {
    int64_t epoch, row;   // first row of a step, in its epoch
  };
  std::vector<int64_t> samples_of_epoch(int64_t epoch) const;
  std::vector<PackedRow> pack_epoch(int64_t epoch) const;
  std::shared_ptr<const Epoch> epoch_at(int64_t epoch) const;
  void pack_ahead(int64_t epoch) const;
  EpochStart start_of(int64_t epoch) const;
  Place locate(int64_t step) const;
  bool means_the_same_without_rows(int64_t step) const;
  std::string settings() const;

  std::shared_ptr<const SampleStore> store_;
  DataConfig config_;
  std::vector<std::vector<int64_t>> by_source_;
  std::string digest_;
  mutable std::mutex mutex_;
  mutable std::vector<EpochStart> starts_{{}};              // of each epoch known so far, and of the one behind
  mutable std::vector<std::pair<int64_t, std::shared_ptr<const Epoch>>> recent_;
  mutable int64_t ahead_epoch_ = -1;                        // packed by `ahead_`, on a thread
  mutable std::future<std::vector<PackedRow>> ahead_;       // last member: it reads the others until it is done
};

/// Held-out samples as micro-batches in the store's order, packed but not shuffled: the same in every run.
std::vector<Batch> held_out_batches(const SampleStore& store, const DataConfig& config);

}  // namespace temper
