#include "data/data_loader.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"
#include "support/expect_error.h"

namespace temper {
namespace {

/// Sample i is [i, ...]: its first id says which one it is.
std::shared_ptr<SampleStore> store_of(int64_t n, int n_sources = 1, uint64_t seed = 1) {
  auto store = std::make_shared<SampleStore>();
  const RandomStream random(seed, "samples");
  for (int64_t i = 0; i < n; ++i) {
    EncodedSample sample;
    const int64_t length = 2 + static_cast<int64_t>(random.below(i, 40));
    for (int64_t t = 0; t < length; ++t) {
      sample.ids.push_back(static_cast<int32_t>(t == 0 ? i : 100000 + t));
      sample.weights.push_back(t % 3 == 0 ? 0.0f : 1.0f);
    }
    store->add(sample, static_cast<int32_t>(i % n_sources));
  }
  return store;
}

DataConfig config_of(int64_t epochs) {
  DataConfig config;
  config.sequence_length = 64;
  config.micro_batch = 2;
  config.accumulation_steps = 3;
  config.packing_window = 50;
  config.epochs = epochs;
  config.seed = 7;
  config.sources.resize(1);
  return config;
}

std::vector<int64_t> flat(const Tensor& tensor) {
  const auto* data = tensor.const_data_ptr<int64_t>();
  return {data, data + tensor.numel()};
}

TEST(DataLoader, ServesEverySampleOnceInEachEpochAndNoTokenIsLost) {
  const auto store = store_of(333);
  const DataLoader loader(store, config_of(3));
  std::map<int64_t, int> seen;
  int64_t tokens = 0, samples_in_first_epoch = 0;
  for (int64_t step = 0; step < loader.n_steps(); ++step)
    for (const Batch& batch : loader.batch_at(step).micro_batches) {
      const auto ids = flat(batch.token_ids);
      tokens += static_cast<int64_t>(ids.size());
      int64_t at = 0;
      for (const int64_t length : batch.document_lengths) {
        EXPECT_EQ(length, store->length(ids[at]));
        ++seen[ids[at]];
        at += length;
        if (samples_in_first_epoch < 333) {
          ++samples_in_first_epoch;
          EXPECT_EQ(seen[ids[at - length]], 1) << "a sample came twice in the first epoch";
        }
      }
      EXPECT_EQ(at, static_cast<int64_t>(ids.size()));
    }
  EXPECT_EQ(seen.size(), 333u);
  for (const auto& [sample, times] : seen) EXPECT_EQ(times, 3) << sample;
  EXPECT_EQ(tokens, 3 * store->n_tokens());
}

TEST(DataLoader, StepNIsTheSameWhoeverAskedForWhatBefore) {
  const auto store = store_of(200);
  const DataLoader straight(store, config_of(4));
  std::vector<std::vector<PackedRow>> all;
  for (int64_t step = 0; step < straight.n_steps(); ++step) all.push_back(straight.rows_at(step));
  for (const int64_t step : {int64_t{11}, int64_t{3}, straight.n_steps() - 1, int64_t{0}}) {
    const DataLoader fresh(store, config_of(4));   // as a process that was killed and started again
    EXPECT_EQ(fresh.rows_at(step), all[step]);
    const StepBatch one = fresh.batch_at(step), other = straight.batch_at(step);
    ASSERT_EQ(one.micro_batches.size(), other.micro_batches.size());
    for (size_t i = 0; i < one.micro_batches.size(); ++i) {
      EXPECT_EQ(flat(one.micro_batches[i].token_ids), flat(other.micro_batches[i].token_ids));
      EXPECT_EQ(flat(one.micro_batches[i].labels), flat(other.micro_batches[i].labels));
    }
  }
}

TEST(DataLoader, CountsTheTrainedTargetsOfTheStep) {
  const DataLoader loader(store_of(100), config_of(1));
  for (int64_t step = 0; step < loader.n_steps(); ++step) {
    const StepBatch batch = loader.batch_at(step);
    int64_t trained = 0, samples = 0;
    for (const Batch& micro : batch.micro_batches) {
      EXPECT_FALSE(micro.label_weights.defined());   // all weights are 0 or 1
      samples += static_cast<int64_t>(micro.document_lengths.size());
      for (const int64_t label : flat(micro.labels)) trained += label != kIgnoredLabel;
    }
    EXPECT_EQ(batch.n_trained_tokens, trained);
    EXPECT_EQ(batch.trained_weight, static_cast<double>(trained));
    EXPECT_EQ(batch.n_samples, samples);
  }
}

TEST(DataLoader, PassesPerTurnWeightsOn) {
  auto store = std::make_shared<SampleStore>();
  store->add({{1, 2, 3, 4}, {9.0f, 1.0f, 0.0f, 0.25f}}, 0);
  const DataLoader loader(store, config_of(1));
  const StepBatch batch = loader.batch_at(0);
  EXPECT_EQ(flat(batch.micro_batches[0].labels), (std::vector<int64_t>{-100, 2, -100, 4}));
  ASSERT_TRUE(batch.micro_batches[0].label_weights.defined());
  EXPECT_EQ(batch.micro_batches[0].label_weights.const_data_ptr<float>()[3], 0.25f);
  EXPECT_EQ(batch.n_trained_tokens, 2);
  EXPECT_DOUBLE_EQ(batch.trained_weight, 1.25);
}

TEST(DataLoader, OrderDiffersBetweenEpochsAndSeeds) {
  const auto store = store_of(100);
  DataConfig config = config_of(2);
  config.accumulation_steps = 1000;   // one step is an epoch
  const auto rows = DataLoader(store, config).rows_at(0);
  config.seed = 8;
  EXPECT_NE(DataLoader(store, config).rows_at(0), rows);
  config.shuffle = false;
  config.packing = "none";
  for (const int64_t epoch : {0, 1}) {
    const auto plain = DataLoader(store, config).rows_at(epoch);
    ASSERT_EQ(plain.size(), 100u);
    for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(plain[i], PackedRow{i});
  }
}

TEST(DataLoader, WeightsArePassesOverASource) {
  const auto store = store_of(300, 3);   // 100 samples in each source
  DataConfig config = config_of(4);
  config.sources.resize(3);
  config.sources[0].weight = 2.0;
  config.sources[1].weight = 0.25;
  config.sources[2].weight = 1.0;
  std::map<int64_t, int> seen;
  const DataLoader loader(store, config);
  for (int64_t step = 0; step < loader.n_steps(); ++step)
    for (const PackedRow& row : loader.rows_at(step))
      for (const int64_t sample : row) ++seen[sample];
  for (int64_t i = 0; i < 300; ++i) EXPECT_EQ(seen[i], (std::array{8, 1, 4}[i % 3])) << i;
}

TEST(DataLoader, PacksTightly) {
  const DataLoader loader(store_of(2000), config_of(1));
  EXPECT_GT(loader.packing_efficiency(), 0.9);   // without packing: mean length 21.5 of 64
}

TEST(DataLoader, PositionRoundTripsAndRefusesOtherDataOrSettings) {
  const auto store = store_of(100);
  const DataLoader loader(store, config_of(2));
  const Json position = Json::parse(loader.position(5).dump());
  EXPECT_EQ(DataLoader(store, config_of(2)).resume_step(position), 5);
  EXPECT_EQ(DataLoader(store, config_of(9)).resume_step(position), 5);   // more epochs: the same beginning
  EXPECT_ERROR(DataLoader(store_of(100, 1, 2), config_of(2)).resume_step(position), ErrorKind::kData, "digest");
  DataConfig other = config_of(2);
  other.seed = 1;
  EXPECT_ERROR(DataLoader(store, other).resume_step(position), ErrorKind::kData, "seed");
}

/// Every combination of rows per step, packing and shuffling; 17 samples leave a partial last step in most of them.
TEST(DataLoader, AStepDoesNotDependOnTheNumberOfEpochsAndEndsWithItsEpoch) {
  const auto store = store_of(17);
  for (const int64_t micro_batch : {1, 2, 3, 20})
    for (const int64_t accumulation : {1, 2, 5})
      for (const char* packing : {"none", "best_fit"})
        for (const bool shuffled : {false, true}) {
          DataConfig config = config_of(1);
          config.micro_batch = micro_batch, config.accumulation_steps = accumulation, config.packing = packing, config.shuffle = shuffled;
          const DataLoader one(store, config);
          config.epochs = 3;
          const DataLoader three(store, config);
          config.epochs = 0;
          const DataLoader endless(store, config);
          EXPECT_DOUBLE_EQ(one.epochs_before(one.n_steps()), 1.0);
          EXPECT_DOUBLE_EQ(three.epochs_before(one.n_steps()), 1.0);
          EXPECT_DOUBLE_EQ(three.epochs_before(three.n_steps()), 3.0);
          EXPECT_EQ(three.resume_step(one.position(one.n_steps())), one.n_steps());   // one epoch done, two more wanted
          std::map<int64_t, int> seen;
          for (int64_t step = 0; step < three.n_steps(); ++step) {
            const auto rows = three.rows_at(step);
            EXPECT_FALSE(rows.empty());
            EXPECT_EQ(endless.rows_at(step), rows);
            if (step < one.n_steps()) {
              EXPECT_EQ(one.rows_at(step), rows);
            }
            for (const PackedRow& row : rows)
              for (const int64_t sample : row) ++seen[sample];
          }
          for (int64_t sample = 0; sample < 17; ++sample) EXPECT_EQ(seen[sample], 3);
        }
}

TEST(DataLoader, CountsRowsInThePositionNotSteps) {
  DataConfig config = config_of(2);
  config.micro_batch = 2, config.accumulation_steps = 1, config.packing = "none";
  const DataLoader loader(store_of(5), config);   // steps of 2, 2, 1, 2, 2, 1 rows
  EXPECT_EQ(loader.n_steps(), 6);
  for (const auto& [step, rows] : {std::pair{2, 4}, std::pair{3, 5}, std::pair{4, 7}, std::pair{6, 10}}) EXPECT_EQ(loader.position(step)["rows_before"], rows) << step;
}

/// Positions without rows_before are of versions whose steps crossed the ends of epochs.
TEST(DataLoader, ReadsAnOlderPositionWhereItMeansTheSameRowsAndRefusesItElsewhere) {
  DataConfig config = config_of(2);
  config.micro_batch = 2, config.accumulation_steps = 1, config.packing = "none";
  const auto store = store_of(5);
  const DataLoader two(store, config);
  config.epochs = 1;
  const DataLoader one(store, config);
  const auto older = [&](int64_t step) {
    Json position = two.position(step);
    position.erase("rows_before");
    return position;
  };
  EXPECT_EQ(two.resume_step(older(2)), 2);
  EXPECT_EQ(one.resume_step(older(3)), 3);   // finished
  EXPECT_ERROR(two.resume_step(older(3)), ErrorKind::kData, "across the ends of epochs");
  const DataLoader even(store_of(4), config);
  Json position = even.position(2);
  position.erase("rows_before");
  config.epochs = 2;
  EXPECT_EQ(DataLoader(store_of(4), config).resume_step(position), 2);
}

TEST(DataLoader, HasNoEndWithZeroEpochs) {
  const DataLoader loader(store_of(20), config_of(0));
  EXPECT_EQ(loader.n_steps(), -1);
  EXPECT_EQ(loader.rows_at(500).size(), 6u);
  EXPECT_GT(loader.epochs_before(500), 100.0);
}

TEST(DataLoader, RefusesAnEmptyStore) {
  EXPECT_ERROR(DataLoader(std::make_shared<SampleStore>(), config_of(1)), ErrorKind::kData, "nothing to train on");
}

TEST(HeldOutBatches, HoldEverySampleOnce) {
  const auto store = store_of(77);
  int64_t samples = 0, tokens = 0;
  for (const Batch& batch : held_out_batches(*store, config_of(1))) {
    samples += static_cast<int64_t>(batch.document_lengths.size());
    tokens += batch.token_ids.numel();
  }
  EXPECT_EQ(samples, 77);
  EXPECT_EQ(tokens, store->n_tokens());
}

}  // namespace
}  // namespace temper
