#pragma once
// A folder with a tiny model of random weights that writes text, and its tokenizer.

#include <algorithm>
#include <sstream>

#include "model/deepseek_v4/init.h"
#include "support/tiny_model.h"
#include "support/tiny_run.h"

namespace temper::test {

struct ModelFolder {
  TempFolder folder;
  std::string model = folder / "model";

  ModelFolder() {
    write_tiny_run(folder.path());
    ModelConfig config = tiny_run_config();
    config.quantized = false;
    config.expert_encoding = Encoding::kPlain;
    ModelWeights weights(config, {});
    initialise(weights, {.seed = 3, .std = 0.2});
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const Parameter& parameter : weights.parameters()) tensors.emplace_back(parameter.row.name, parameter.master.contiguous());
    write_model_folder(model, config, tensors);
    for (const auto& entry : fs::directory_iterator(folder / "tokenizer")) fs::copy_file(entry.path(), fs::path(model) / entry.path().filename());
  }

  std::vector<Json> generate(const std::string& prompts, std::vector<std::string> more = {}) const {
    write_file_atomic(folder / "prompts.jsonl", prompts);
    std::vector<std::string> arguments{"generate", "--model", model, "--prompts", folder / "prompts.jsonl", "--out", folder / "out.jsonl"};
    if (std::find(more.begin(), more.end(), "--max-new-tokens") == more.end()) more.insert(more.end(), {"--max-new-tokens", "9"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult done = run_program(arguments);
    EXPECT_EQ(done.exit_code, 0) << done.output;
    std::vector<Json> rows;
    std::istringstream lines(read_file(folder / "out.jsonl"));
    for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line));
    return rows;
  }
};

}  // namespace temper::test
