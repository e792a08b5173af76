// What an export keeps does not depend on whether the model was trained in between.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "base/json.h"
#include "support/tiny_model.h"
#include "support/tiny_run.h"

namespace temper {
namespace {

using namespace test;

std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& item : fs::recursive_directory_iterator(folder))
    if (item.is_regular_file()) names.push_back(fs::relative(item.path(), folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

// The model folder `model`, without MTP tensors, with companions; the recipe run.toml trains it for one step.
void write_run_on_a_folder(const TempFolder& folder, const std::string& tokenizer) {
  write_tiny_run(folder.path());
  ModelConfig config = tiny_run_config();
  auto tensors = random_stored_tensors(config);
  std::erase_if(tensors, [](const auto& tensor) { return tensor.first.starts_with("mtp."); });
  write_model_folder(folder / "model", config, tensors);
  Json json = to_json(config);
  json["eos_token_id"] = {1, 35};
  json["pad_token_id"] = 2;
  json["auto_map"] = {{"AutoConfig", "configuration_x.C"}};
  json["my_note"] = "tuned by Jo";
  write_file_atomic(folder / "model/config.json", json.dump(2));
  for (const char* name : {"generation_config.json", "chat_template.jinja", "special_tokens_map.json", "LICENSE"}) write_file_atomic(folder / "model" / name, "{}");
  fs::create_directories(folder / "model/encoding");
  write_file_atomic(folder / "model/encoding/encoding_dsv4.py", "x = 1\n");
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    if (fs::exists(folder / "tokenizer" / name)) fs::copy(folder / "tokenizer" / name, folder / "model" / name);
  write_file_atomic(folder / "run.toml", fmt::format("stage = \"cpt\"\nrun_folder = \"{}\"\n[model]\npath = \"model\"\n{}[data]\nsequence_length = 64\nmicro_batch = 1\nepochs = 0\n"
                                                     "[[data.sources]]\npath = \"stories.txt\"\n[train]\nsteps = 1\n",
                                                     (folder / "run").string(), tokenizer));
}

void run(const std::vector<std::string>& arguments) {
  const ProgramResult result = run_program(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.output;
}

TEST(Companions, AnExportAfterTrainingHasTheFilesAndKeysOfADirectExportWithoutTheOriginalFolder) {
  const TempFolder folder;
  write_run_on_a_folder(folder, "");
  run({"export", "--from", (folder / "model").string(), "--to", (folder / "direct").string()});
  run({"train", (folder / "run.toml").string()});
  fs::remove_all(folder / "model");
  run({"export", "--from", (folder / "run").string(), "--to", (folder / "trained").string()});
  EXPECT_EQ(files_below(folder / "trained"), files_below(folder / "direct"));
  EXPECT_EQ(files_below(folder / "direct").size(), 9u);   // weights, config.json and seven companions
  const Json direct = read_json(folder / "direct/config.json"), trained = read_json(folder / "trained/config.json");
  EXPECT_EQ(trained, direct);
  EXPECT_EQ(direct.at("eos_token_id"), Json({1, 35}));
  EXPECT_EQ(direct.at("my_note"), "tuned by Jo");
  EXPECT_EQ(direct.at("num_nextn_predict_layers"), 0);
  EXPECT_EQ(direct.at("compress_ratios").size(), static_cast<size_t>(tiny_run_config().n_layers));
}

TEST(Companions, ARunWithATokenizerGivenAsAFileHasTheTokenizerInItsCheckpointsAndExports) {
  const TempFolder folder;
  write_run_on_a_folder(folder, "tokenizer = \"english.json\"\n");
  fs::rename(folder / "model/tokenizer.json", folder / "english.json");
  run({"train", (folder / "run.toml").string()});
  const std::string vocabulary = read_file(folder / "english.json");
  EXPECT_EQ(read_file(folder / "run/checkpoints/step-1/tokenizer.json"), vocabulary);
  run({"export", "--from", (folder / "run").string(), "--to", (folder / "export").string()});
  EXPECT_EQ(read_file(folder / "export/tokenizer.json"), vocabulary);
  write_file_atomic(folder / "prompts.jsonl", "{\"prompt\": \"once\"}\n");
  run({"generate", "--model", (folder / "export").string(), "--prompts", (folder / "prompts.jsonl").string(), "--out", (folder / "answers.jsonl").string(), "--max-new-tokens", "2"});
}

}  // namespace
}  // namespace temper
