#pragma once
// A recipe: everything `temper train` needs to know, as one TOML file.

#include <string>
#include <vector>

#include "data/data_config.h"
#include "model/deepseek_v4/dspark.h"
#include "optim/lr_schedule.h"
#include "optim/optimizer.h"
#include "train/qat.h"
#include "train/step_model.h"

namespace temper {

/// What is trained: existing weights (`path`), or new ones of a given architecture (`config`).
struct TrainedModelConfig {
  std::string path, config, tokenizer, drafter = "keep";
  double init_std = 0.006;
  double hc_scale = 0.01;

  template <class Visitor> void visit(Visitor& v) {
    v("path", path, "model folder to start from; relative to the recipe's folder");
    v("config", config, "config.json of a model that starts from random weights; relative to the recipe's folder");
    v("tokenizer", tokenizer, "folder or file of the tokenizer; empty = the model's folder");
    v("drafter", drafter, "keep: exports of the run carry the model's DSpark drafter byte for byte, and MTP layers are kept; drop: neither; or a folder whose DSpark drafter they carry, relative to the recipe's folder");
    v("init_std", init_std, "random weights: standard deviation of matrices and embeddings", between(0.0, 1e3));
    v("hc_scale", hc_scale, "random weights: scale of the hyper-connections' token-dependent part", between(0.0, 1e3));
  }
};

struct TrainConfig {
  int64_t steps = 0;
  std::string dtype = "bfloat16";
  bool recompute = false;
  bool exact_resume = false;
  double mtp_loss_weight = 0.0;
  double balance_loss_weight = 0.0;
  double indexer_loss_weight = 0.0;
  double router_bias_speed = 0.0;
  int64_t seed = 0;
  int64_t max_consecutive_skips = 10;
  int64_t log_every = 10;

  template <class Visitor> void visit(Visitor& v) {
    v("steps", steps, "optimizer steps; 0 = data.epochs passes over the data", between(0, 1e9));
    v("dtype", dtype, "in which the model computes; masters, norms, router, mHC and losses are float32 always", one_of({"bfloat16", "float32"}));
    v("recompute", recompute, "every sub-layer keeps only what enters it and is computed again in the backward pass: least memory, a third more time; false = what [memory] asks for");
    v("exact_resume", exact_resume, "refuse to resume where the numbers may differ from those of an undisturbed run: another instruction set, number of threads, kernels or version");
    v("mtp_loss_weight", mtp_loss_weight, "weight of the loss of the second next token; 0 = MTP blocks are carried along, not trained", between(0.0, 1e3));
    v("balance_loss_weight", balance_loss_weight, "weight of the sequence-wise balance loss of the routers (V4: 1e-4)", between(0.0, 1e3));
    v("indexer_loss_weight", indexer_loss_weight, "weight of the indexers' own loss; 0 = indexers are frozen", between(0.0, 1e3));
    v("router_bias_speed", router_bias_speed, "step of the routers' selection bias (V4 pre-training: 0.001; 0 = fixed, as for released weights)", between(0.0, 1e3));
    v("seed", seed, "of random weights", between(0, 9e15));
    v("max_consecutive_skips", max_consecutive_skips, "stop after this many steps in a row with a loss or gradient that is not finite", between(1, 1e9));
    v("log_every", log_every, "steps between plain progress lines where stderr is no terminal", between(1, 1e9));
  }
};

struct MemoryConfig {
  double budget_gib = 0;

  template <class Visitor> void visit(Visitor& v) {
    v("budget_gib", budget_gib, "memory of the whole program in GiB; sub-layers are computed again in the backward pass as far as it takes to fit; 0 = what is free at the start", between(0.0, 1e9));
  }
};

struct CheckpointConfig {
  int64_t every_steps = 500;
  double every_seconds = 0;
  int64_t keep_last = 2;
  bool fallback = false;

  template <class Visitor> void visit(Visitor& v) {
    v("every_steps", every_steps, "steps between checkpoints; 0 = only at the end", between(0, 1e9));
    v("every_seconds", every_seconds, "also when the last one is older than this; 0 = never", between(0.0, 1e9));
    v("keep_last", keep_last, "complete checkpoints that are kept; 0 = all", between(0, 1e9));
    v("fallback", fallback, "resume from the newest whole checkpoint where a newer one is damaged; false = that is an error");
  }
};

struct EvalConfig {
  int64_t every_steps = 0;

  template <class Visitor> void visit(Visitor& v) {
    v("every_steps", every_steps, "steps between measurements of the held-out loss; 0 = only before the first and after the last step", between(0, 1e9));
  }
};

struct TrainRecipe {
  std::string stage = "sft";
  std::string run_folder;
  std::vector<std::string> allow_changes;
  TrainedModelConfig model;
  DataConfig data;
  OptimizerConfig optim;
  LrScheduleConfig schedule;
  TrainConfig train;
  MemoryConfig memory;
  QatConfig qat;
  CheckpointConfig checkpoint;
  EvalConfig eval;

  template <class Visitor> void visit(Visitor& v) {
    v("stage", stage, "cpt: text, every token is trained; sft: conversations, the assistant's tokens are trained", one_of({"cpt", "sft"}));
    v("run_folder", run_folder, "where the run writes; empty = runs/<name of the recipe file>");
    v("allow_changes", allow_changes, "keys that may differ from the recipe the run was started with, e.g. [\"schedule.lr\"]; [\"*\"] = all");
    v("model", model, "what is trained");
    v("data", data, "what it is trained on");
    v("optim", optim, "how weights are updated");
    v("schedule", schedule, "the learning rate of each step");
    v("train", train, "the steps");
    v("memory", memory, "how much memory a run may take");
    v("qat", qat, "quantisation-aware training");
    v("checkpoint", checkpoint, "checkpoints to resume from");
    v("eval", eval, "held-out loss");
  }
};

/// A recipe as it was read.
///   recipe        with defaults and overrides
///   folder        of the file: input paths in the recipe are relative to it
///   run_folder    resolved
///   model_config  read from model.config or model.path; without MTP layers unless model.drafter keeps them
struct LoadedRecipe {
  TrainRecipe recipe;
  fs::path file, folder, run_folder;
  ModelConfig model_config;
  std::optional<DsparkConfig> dspark;   // the dspark_* keys of the same config
  fs::path resolve(const std::string& path) const;
  fs::path tokenizer_path() const;
  /// [model] drafter for checkpoint/drafter.h: "keep", "drop" or a resolved folder.
  std::string drafter_choice() const;
};

/// Reads a recipe, applies "path=value" overrides, checks what one section says against the others.
/// Error{kConfig} with key and line.
LoadedRecipe load_recipe(const fs::path& file, const std::vector<std::string>& overrides);

/// How the weights of this recipe are kept, and which parts of the model it trains.
WeightsOptions weights_options(const TrainRecipe& recipe);
TrainedParts trained_parts(const TrainRecipe& recipe);
/// Without recomputation, which train/memory_plan.h chooses.
StepModelConfig step_model_config(const TrainRecipe& recipe);

/// A key whose value differs between two resolved recipes; a side that lacks the key has its default.
struct RecipeChange {
  std::string key, before, now;
};
/// The changes between two resolved recipes, without those that `allowed` names (a key, a section, or "*") and those
/// that do not change what is trained (checkpoint, eval, logging, allow_changes itself).
std::vector<RecipeChange> recipe_changes(const std::string& earlier_toml, const std::string& toml, const std::vector<std::string>& allowed);
/// Their keys.
std::vector<std::string> changed_keys(const std::string& earlier_toml, const std::string& toml, const std::vector<std::string>& allowed);

}  // namespace temper
