// `temper probe` as it is called, on the models of tests/golden.

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "checkpoint/safetensors.h"
#include "support/golden.h"
#include "support/tensors.h"
#include "support/tiny_run.h"

namespace temper {
namespace {

// A model folder of a golden case, and the probe's answer to a token file.
struct Probe {
  test::Golden golden;
  test::TempFolder folder;

  explicit Probe(const std::string& name) : golden(test::load_golden(name)) {
    fs::create_directory(folder / "model");
    for (const char* file : {"config.json", "model.safetensors"}) fs::copy_file(golden.folder / file, folder / "model" / file);
  }
  int run(const Json& tokens) const {
    write_file_atomic(folder / "tokens.json", tokens.dump());
    return test::run_program({"probe", "--model", folder / "model", "--tokens", folder / "tokens.json", "--out", folder / "out.safetensors", "--backward"}).exit_code;
  }
  SafetensorsFolder result() const { return SafetensorsFolder(folder / "out.safetensors"); }
};

TEST(ProbeCommand, GivesTransformersLogitsLossAndEveryGradientUnderItsReleasedName) {
  const Probe probe("pro");   // with an MTP block, which the loss does not reach
  ASSERT_EQ(probe.run(probe.golden.tokens), 0);
  const SafetensorsFolder found = probe.result();
  for (const auto& [name, wanted] : probe.golden.tensors) {
    const double bound = name.ends_with("_scale") ? test::kModelScaleGrad.float32 : test::kModelLogits.float32;
    EXPECT_TRUE(test::close(found.tensor(name), wanted, bound)) << name;
  }
  for (const Json& name : probe.golden.expected.at("zero")) EXPECT_EQ(found.tensor(name.get<std::string>()).abs().max().item<double>(), 0) << name;
  for (const TensorRow& row : tensor_map(probe.golden.config)) {
    if (row.holds_ids()) continue;
    EXPECT_EQ(found.tensor("grad." + row.name).sizes(), at::IntArrayRef(row.shape)) << row.name;
  }
}

TEST(ProbeCommand, PackedDocumentsAreSeparateDocuments) {
  const Probe probe("mixed");
  const std::vector<int64_t> row = probe.golden.input_ids()[0];
  const std::vector<int64_t> lengths{3, 134, 1, 3};
  ASSERT_EQ(probe.run({{"input_ids", {row}}, {"document_lengths", {lengths}}}), 0);
  const Tensor packed = probe.result().tensor("logits").clone()[0], loss = probe.result().tensor("loss").clone(),
               grad = probe.result().tensor("grad.layers.1.attn.compressor.ape").clone();
  std::vector<Tensor> logits;
  double loss_sum = 0, n_targets = 0;
  Tensor grad_sum = at::zeros_like(grad);
  for (int64_t first = 0, i = 0; i < 4; first += lengths[static_cast<size_t>(i++)]) {
    const int64_t n = lengths[static_cast<size_t>(i)];
    const std::vector<int64_t> document(row.begin() + first, row.begin() + first + n);
    ASSERT_EQ(probe.run({{"input_ids", {document}}}), 0);
    logits.push_back(probe.result().tensor("logits").clone()[0]);
    loss_sum += probe.result().tensor("loss").item<double>() * static_cast<double>(n - 1);
    grad_sum += probe.result().tensor("grad.layers.1.attn.compressor.ape") * static_cast<double>(n - 1);
    n_targets += static_cast<double>(n - 1);
  }
  EXPECT_TRUE(test::close(packed, at::cat(logits), test::kModelLogits.float32));
  EXPECT_NEAR(loss.item<double>(), loss_sum / n_targets, 1e-5);
  EXPECT_TRUE(test::close(grad, grad_sum / n_targets, test::kModelLogits.float32));
}

TEST(ProbeCommand, WithoutTargetsTheLossAndEveryGradientAreZero) {
  const Probe probe("short");
  ASSERT_EQ(probe.run({{"input_ids", {{1}}}}), 0);
  const SafetensorsFolder found = probe.result();
  EXPECT_EQ(found.tensor("loss").item<float>(), 0);
  for (const std::string& name : found.names())
    if (name.starts_with("grad.")) {
      EXPECT_EQ(found.tensor(name).abs().max().item<double>(), 0) << name;
    }
}

TEST(ProbeCommand, WarnsOnceOfDocumentsBeyondThePositionsOfTheModel) {
  const Probe probe("short");
  Json config = read_json(probe.folder / "model/config.json");
  config["max_position_embeddings"] = 3;
  write_file_atomic(probe.folder / "model/config.json", config.dump());
  const auto output = [&](const Json& lengths) {
    write_file_atomic(probe.folder / "tokens.json", Json{{"input_ids", {{1, 2, 3, 4, 5}}}, {"document_lengths", {lengths}}}.dump());
    return test::run_program({"probe", "--model", probe.folder / "model", "--tokens", probe.folder / "tokens.json", "--out", probe.folder / "out.safetensors"}).output;
  };
  EXPECT_NE(output({5}).find("has 5 tokens, the model's max_position_embeddings is 3"), std::string::npos);
  EXPECT_EQ(output({2, 3}).find("max_position_embeddings"), std::string::npos);   // positions begin again in each document
}

TEST(ProbeCommand, ExitsWithTheKindOfTheError) {
  const Probe probe("short");
  EXPECT_EQ(probe.run({{"input_ids", {{1, 40}}}}), static_cast<int>(ErrorKind::kData));
  EXPECT_EQ(test::run_program({"probe", "--model", probe.folder / "model"}).exit_code, 64);
  const std::string model = probe.folder / "model" / "model.safetensors";
  fs::resize_file(model, fs::file_size(model) - 1);
  EXPECT_EQ(probe.run(probe.golden.tokens), static_cast<int>(ErrorKind::kCheckpoint));
}

}  // namespace
}  // namespace temper
