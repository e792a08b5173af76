#include "train/qat.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "checkpoint/export.h"
#include "checkpoint/load_model.h"
#include "checkpoint/training_checkpoint.h"
#include "model/deepseek_v4/init.h"
#include "support/one_thread.h"
#include "support/temp_folder.h"
#include "support/tensors.h"
#include "support/tiny_run.h"
#include "train/train_step.h"

namespace temper {
namespace {

Batch random_batch(int64_t length, uint64_t seed) {
  Tensor ids = at::empty({length}, at::kLong);
  const RandomStream stream(seed, "tests/qat");
  for (int64_t i = 0; i < length; ++i) ids.mutable_data_ptr<int64_t>()[i] = static_cast<int64_t>(stream.below(static_cast<uint64_t>(i), 288));
  return {.token_ids = ids, .labels = {}, .label_weights = {}, .document_lengths = {length}};
}

// Train, save, export in the official layout, load, measure: the loss of the loaded files is the loss that was trained.
TEST(Qat, WhatIsExportedIsWhatWasTrainedToTheBit) {
  const test::OneThread one_thread;
  ModelWeights weights(test::tiny_run_config(), {.separate_compute = true});
  initialise(weights, {.seed = 3, .std = 0.1, .hc_scale = 0.5});
  weights.enable_gradients();
  StepModelConfig config;
  config.qat.enabled = true;
  StepModel model(weights, config);
  model.refresh();
  Optimizer optimizer(weights, {}, at::kFloat);
  Recovery recovery(1);
  for (int64_t step = 1; step <= 3; ++step) {
    StepBatch batch;
    batch.micro_batches = {random_batch(150, static_cast<uint64_t>(step))};
    ASSERT_FALSE(train_step(model, optimizer, recovery, batch, {.step = step, .lr = 3e-3}).skipped);
  }
  const Batch held_out = random_batch(140, 99);
  const double trained = model.forward(held_out);

  const test::TempFolder folder;
  CheckpointContent content;
  content.step = 3;
  for (const Parameter& p : weights.parameters()) content.tensors.push_back(whole_tensor(std::string(kWeightPrefix) + p.row.name, p.master));
  content.files = {{"config.json", to_json(weights.config()).dump()}};
  CheckpointWriter writer({.folder = folder / "checkpoints"});
  writer.save(content);
  writer.wait();
  export_model(*open_weights(*find_latest_checkpoint(folder / "checkpoints")), folder / "export", {.dtype = ExportDtype::kFp8Fp4});

  LoadedModel loaded = load_model(folder / "export", {.compute_dtype = at::kFloat});
  EXPECT_EQ(StepModel(loaded.weights, {}).forward(held_out), trained);

  // Without it the rounding of an export moves the loss.
  weights.refresh_compute();
  EXPECT_NE(StepModel(weights, {}).forward(held_out), trained);
}

}  // namespace
}  // namespace temper
