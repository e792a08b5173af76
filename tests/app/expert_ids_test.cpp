// A hash layer's table of expert ids is read from files: whatever the command, an id that the model does not have is refused.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "checkpoint/training_checkpoint.h"
#include "model/deepseek_v4/init.h"
#include "support/rewrite_checkpoint.h"
#include "support/tiny_model.h"
#include "support/tiny_run.h"

namespace temper {
namespace {

constexpr const char* kTable = "layers.0.ffn.gate.tid2eid";

test::ProgramResult run(const std::string& command) {
  std::vector<std::string> arguments;
  std::istringstream words(command);
  for (std::string word; words >> word;) arguments.push_back(word);
  return test::run_program(arguments);
}

struct Files {
  test::TempFolder folder;
  ModelConfig config = test::tiny_run_config();
  Tensor table;
  std::vector<std::pair<std::string, Tensor>> tensors;

  Files() {
    test::write_tiny_run(folder.path());
    config.quantized = false;
    config.expert_encoding = Encoding::kPlain;
    ModelWeights weights(config, {});
    initialise(weights, {.seed = 3, .std = 0.2});
    for (const Parameter& parameter : weights.parameters()) tensors.emplace_back(parameter.row.name, parameter.master.contiguous());
    table = weights.parameter(kTable).master;
    test::write_model_folder(folder / "model", config, tensors);
    for (const auto& entry : fs::directory_iterator(folder / "tokenizer")) fs::copy_file(entry.path(), folder / "model" / entry.path().filename());
    write_file_atomic(folder / "prompts.jsonl", "{\"prompt\": \"once\"}\n");
    write_file_atomic(folder / "tokens.json", "{\"input_ids\": [[1, 2, 3]]}");
  }

  void write_model(const Tensor& with) const {
    auto changed = tensors;
    for (auto& [name, value] : changed)
      if (name == kTable) value = with;
    write_safetensors(folder / "model/model.safetensors", changed);
  }

  // Every command that reads weights.
  std::vector<std::string> commands(const std::string& model) const {
    const std::string out = folder / "out", tokenizer = folder / "tokenizer";
    return {"generate --model " + model + " --tokenizer " + tokenizer + " --prompts " + (folder / "prompts.jsonl").string() + " --out " + out + ".jsonl",
            "chat --model " + model + " --tokenizer " + tokenizer + "",
            "probe --model " + model + " --tokens " + (folder / "tokens.json").string() + " --out " + out + ".safetensors",
            "eval --model " + model + " --suite stories --out " + out + "_eval",
            "export --from " + model + " --to " + out + "_export --dtype bf16",
            "inspect --values " + model};
  }
};

TEST(ExpertIds, OutsideOfTheModelAreRefusedByEveryCommandWithPositionAndValue) {
  const Files files;
  for (const int64_t id : {files.config.n_routed_experts, int64_t{99}, int64_t{-5}, int64_t{1} << 40}) {
    Tensor table = files.table.clone();
    table[7][1] = id;
    files.write_model(table);
    std::vector<std::string> commands = files.commands(files.folder / "model");
    if (id != 99) commands.resize(1);
    commands.push_back("import --from " + (files.folder / "model").string() + " --to " + (files.folder / "import").string());
    commands.push_back("train " + (files.folder / "run.toml").string() + " --set model.config= --set model.path=model");
    for (const std::string& command : commands) {
      const test::ProgramResult result = run(command);
      EXPECT_EQ(result.exit_code, 4) << command << "\n" << result.output;
      EXPECT_NE(result.output.find(fmt::format("{} names expert {} for token 7, experts are 0 to {}", kTable, id, files.config.n_routed_experts - 1)), std::string::npos) << command << "\n" << result.output;
      EXPECT_NE(result.output.find(fmt::format("{}[7, 1]", kTable)), std::string::npos) << result.output;
    }
  }
}

TEST(ExpertIds, OfATrainingCheckpointWithRightDigestsAreCheckedTheSameWay) {
  const Files files;
  const std::string recipe = files.folder / "run.toml";
  ASSERT_EQ(run("train " + recipe + " --set train.steps=2 --set eval.every_steps=0").exit_code, 0);
  const fs::path checkpoint = files.folder / "run/checkpoints/step-2";
  Tensor table = TrainingCheckpoint(checkpoint).tensor(std::string(kWeightPrefix) + kTable);
  table[7][1] = 99;
  test::rewrite_tensor(checkpoint, std::string(kWeightPrefix) + kTable, table);
  TrainingCheckpoint(checkpoint).verify();
  std::vector<std::string> commands = files.commands(checkpoint);
  commands.push_back("train " + recipe + " --set train.steps=3 --set eval.every_steps=0 --set allow_changes=['train.steps']");
  for (const std::string& command : commands) {
    const test::ProgramResult result = run(command);
    EXPECT_EQ(result.exit_code, 4) << command << "\n" << result.output;
    EXPECT_NE(result.output.find(fmt::format("{} names expert 99 for token 7", kTable)), std::string::npos) << command << "\n" << result.output;
  }
}

}  // namespace
}  // namespace temper
