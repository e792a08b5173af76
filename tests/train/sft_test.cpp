// Post-training as a user does it: a base run, its export in the official layout, a second stage that starts from it.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "support/tiny_run.h"

namespace temper {
namespace {

using test::metrics_without_times;
using test::ProgramResult;
using test::run_program;
using test::TempFolder;

void write_sft_recipe(const TempFolder& folder, const std::string& stage) {
  write_file_atomic(folder / "sft.toml", fmt::format(R"(stage = "{}"
run_folder = "{}"
[model]
path = "base"
[data]
sequence_length = 160
micro_batch = 1
epochs = 4
[[data.sources]]
path = "chat.jsonl"
[[data.held_out_sources]]
path = "chat.jsonl"
[train]
dtype = "float32"
[schedule]
kind = "linear"
lr = 1e-2
[qat]
enabled = true
)", stage, (folder / "run_sft").string()));
}

double value_of(const std::string& line, const char* key) { return parse_json(line, "metrics").at(key).get<double>(); }

TEST(Sft, StartsFromAnExportLearnsConversationsAndItsExportHasTheSameLoss) {
  const TempFolder folder;
  test::write_tiny_run(folder.path());
  const ProgramResult base = run_program({"train", (folder / "run.toml").string(), "--set", "train.steps=3"});
  ASSERT_EQ(base.exit_code, 0) << base.output;
  const ProgramResult exported = run_program({"export", "--from", (folder / "run/checkpoints/step-3").string(), "--to", (folder / "base").string(), "--dtype", "fp8-fp4"});
  ASSERT_EQ(exported.exit_code, 0) << exported.output;

  write_sft_recipe(folder, "sft");
  const ProgramResult sft = run_program({"train", (folder / "sft.toml").string()});
  ASSERT_EQ(sft.exit_code, 0) << sft.output;
  const std::vector<std::string> metrics = metrics_without_times(folder / "run_sft");
  const double before = value_of(metrics.front(), "eval/held_out_loss"), after = value_of(metrics.back(), "eval/held_out_loss");
  EXPECT_LT(after, before - 0.3);
  const double trained = value_of(metrics[1], "train/trained_token_fraction");   // the answers: neither nothing nor everything
  EXPECT_GT(trained, 0.3);
  EXPECT_LT(trained, 0.95);

  // The second stage's export, measured by a third run that changes nothing (lr 0): the loss that was trained, to the bit.
  const int64_t step = parse_json(metrics.back(), "metrics").at("step").get<int64_t>();
  const ProgramResult again = run_program({"export", "--from", (folder / fmt::format("run_sft/checkpoints/step-{}", step)).string(), "--to", (folder / "after").string(), "--dtype", "fp8-fp4"});
  ASSERT_EQ(again.exit_code, 0) << again.output;
  const ProgramResult measured = run_program({"train", (folder / "sft.toml").string(), "--set", "model.path=after", "--set", "qat.enabled=false", "--set", "train.steps=1", "--set",
                                              "schedule.lr=0", "--set", "run_folder=" + (folder / "run_measure").string()});
  ASSERT_EQ(measured.exit_code, 0) << measured.output;
  EXPECT_EQ(value_of(metrics_without_times(folder / "run_measure").front(), "eval/held_out_loss"), after);
}

TEST(Sft, AConversationUnderCptIsADataErrorThatSaysWhatToDo) {
  const TempFolder folder;
  test::write_tiny_run(folder.path());
  const ProgramResult result = run_program({"train", (folder / "run.toml").string(), "--set", "data.sources=[{path='chat.jsonl'}]"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.output.find("stage = \"sft\""), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("chat.jsonl:1"), std::string::npos) << result.output;
}

}  // namespace
}  // namespace temper
