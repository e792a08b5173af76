#include "train/recipe.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

using test::TempFolder;

constexpr const char* kRecipe = "stage = 'cpt'\n[model]\nconfig = 'config.json'\ntokenizer = 'tok'\n[[data.sources]]\npath = 'a.txt'\n[train]\nsteps = 5\n";

LoadedRecipe load(const TempFolder& folder, const std::string& text, const std::vector<std::string>& overrides = {}) {
  ModelConfig config;
  config.compress_ratios.assign(44, 0);
  write_file_atomic(folder / "config.json", to_json(config).dump());
  write_file_atomic(folder / "base.toml", text);
  return load_recipe(folder / "base.toml", overrides);
}

TEST(Recipe, ResolvesPathsAgainstItsFolderAndNamesTheRunAfterTheFile) {
  const TempFolder folder;
  const LoadedRecipe loaded = load(folder, kRecipe);
  EXPECT_EQ(loaded.run_folder, fs::path("runs/base"));
  EXPECT_EQ(loaded.tokenizer_path(), folder / "tok");
  EXPECT_EQ(loaded.resolve("/abs"), fs::path("/abs"));
  EXPECT_EQ(loaded.model_config.n_layers, 43);
}

TEST(Recipe, ResolvedTextReadsBackEqual) {
  const TempFolder folder;
  LoadedRecipe loaded = load(folder, kRecipe, {"schedule.lr=1e-8", "optim.frozen=['embedding']"});
  const std::string text = render_toml(loaded.recipe);
  LoadedRecipe again = load(folder, text);
  EXPECT_EQ(render_toml(again.recipe), text);
  EXPECT_EQ(again.recipe.schedule.lr, 1e-8);
  EXPECT_TRUE(changed_keys(text, render_toml(again.recipe), {}).empty());
}

TEST(Recipe, SectionsThatContradictEachOtherAreErrors) {
  const TempFolder folder;
  EXPECT_ERROR(load(folder, "[[data.sources]]\npath = 'a'\n"), ErrorKind::kConfig, "neither path nor config");
  EXPECT_ERROR(load(folder, kRecipe, {"model.path=x"}), ErrorKind::kConfig, "both path and config");
  EXPECT_ERROR(load(folder, kRecipe, {"model.tokenizer="}), ErrorKind::kConfig, "tokenizer is missing");
  EXPECT_ERROR(load(folder, "[model]\nconfig = 'config.json'\ntokenizer = 't'\n"), ErrorKind::kConfig, "nothing to train on");
  EXPECT_ERROR(load(folder, kRecipe, {"train.steps=0", "data.epochs=0"}), ErrorKind::kConfig, "neither train.steps nor data.epochs");
  EXPECT_ERROR(load(folder, kRecipe, {"train.dtype=fp8"}), ErrorKind::kConfig, "bfloat16, float32");
  EXPECT_ERROR(load(folder, kRecipe, {"train.stepz=1"}), ErrorKind::kConfig, "stepz");
  EXPECT_ERROR(load_recipe(folder / "none.toml", {}), ErrorKind::kConfig, "no such recipe");
}

// The resolved text names the release, so that a checkpoint knows it.
TEST(Recipe, TheChatReleaseIsThatOfTheFolder) {
  const TempFolder folder;
  const std::vector<std::string> sft = {"stage=sft"};
  EXPECT_EQ(load(folder, kRecipe, sft).recipe.data.chat_release, "preview");
  EXPECT_ERROR(load(folder, kRecipe, {"stage=sft", "data.effort=low"}), ErrorKind::kConfig, "none, high, max");
  make_writable_folder(folder / "tok/encoding");
  write_file_atomic(folder / "tok/encoding/encoding_dsv4.py", "REASONING_EFFORT_PROMPTS = {\"low\": \"\"}\nDEFAULT_REASONING_EFFORT = \"low\"\n");
  make_writable_folder(folder / "tok");
  LoadedRecipe loaded = load(folder, kRecipe, {"stage=sft", "data.effort=max"});
  EXPECT_EQ(loaded.recipe.data.chat_release, "0731");
  EXPECT_NE(render_toml(loaded.recipe).find("chat_release = \"0731\""), std::string::npos);
  EXPECT_EQ(load(folder, kRecipe, {"stage=sft", "data.effort=max", "data.chat_release=preview"}).recipe.data.chat_release, "preview");
  EXPECT_ERROR(load(folder, kRecipe, {"stage=sft", "data.effort=none"}), ErrorKind::kConfig, "low, high, max");
}

TEST(Recipe, NamesEveryKeyThatChangedUnlessItIsAllowed) {
  const std::string before = "[a]\nx = 1\ny = 2\n[checkpoint]\nevery_steps = 5\n[[data.sources]]\npath = 'p'\n";
  const std::string after = "[a]\nx = 1.0\ny = 3\n[checkpoint]\nevery_steps = 9\n[[data.sources]]\npath = 'q'\n[[data.sources]]\npath = 'r'\n";
  using Keys = std::vector<std::string>;
  EXPECT_EQ(changed_keys(before, after, {}), (Keys{"a.x", "a.y", "data.sources[0].path", "data.sources[1].path"}));
  EXPECT_EQ(changed_keys(before, after, {"a"}), (Keys{"data.sources[0].path", "data.sources[1].path"}));
  EXPECT_EQ(changed_keys(before, after, {"a.y", "data.sources"}), (Keys{"a.x"}));
  EXPECT_EQ(changed_keys(before, after, {"*"}), Keys{});
}

}  // namespace
}  // namespace temper
