#include "train/dry_run.h"

#include <fmt/format.h>

#include <map>

#include "base/process.h"
#include "data/data_loader.h"
#include "train/memory_plan.h"
#include "train/run_drafter.h"
#include "train/trainer.h"
#include "train/training_data.h"

namespace temper {
namespace {

// Shapes only: a model of any size is described on a laptop.
ModelWeights weights_without_memory(const LoadedRecipe& loaded) {
  WeightsOptions options = weights_options(loaded.recipe);
  options.device = at::kMeta;
  ModelWeights weights(loaded.model_config, options);
  weights.enable_gradients(frozen_rows(loaded.recipe.optim, trained_parts(loaded.recipe)));
  return weights;
}

bool by_muon(const LoadedRecipe& loaded, const TensorRow& row) { return loaded.recipe.optim.kind == "muon" && row.optimizer == OptimizerClass::kMatrix; }

std::string describe_classes(const LoadedRecipe& loaded, const ModelWeights& weights) {
  struct Class {
    int64_t total = 0, muon = 0, adamw = 0;
  };
  std::map<ParameterClass, Class> classes;
  Class all;
  for (const Parameter& p : weights.parameters()) {
    if (p.row.optimizer == OptimizerClass::kConstant) continue;
    const int64_t n = p.row.numel();
    for (Class* c : {&classes[p.row.parameter], &all}) {
      c->total += n;
      if (p.grad.defined()) (by_muon(loaded, p.row) ? c->muon : c->adamw) += n;
    }
  }
  std::string text = fmt::format("{:<26}{:>18}{:>18}{:>18}{:>18}\n", "parameters", "total", "by Muon", "by AdamW", "not by gradient");
  const auto line = [&](const char* name, const Class& c) {
    text += fmt::format("  {:<24}{:>18}{:>18}{:>18}{:>18}\n", name, c.total, c.muon, c.adamw, c.total - c.muon - c.adamw);
  };
  for (const auto& [c, n] : classes) line(parameter_class_name(c), n);
  line("all", all);
  return text;
}

std::string describe_data(const LoadedRecipe& loaded, const LoadedData& data, const DataLoader& loader, int64_t total_steps) {
  const DataConfig& c = loaded.recipe.data;
  std::string text = "data\n" + describe(data);
  text += fmt::format("  packed rows are {:.1f} % full\n", 100 * loader.packing_efficiency());
  text += fmt::format("steps\n  {} steps of {} rows of at most {} tokens ({} micro-batches of {} rows): {:.2f} passes over the data\n", total_steps, c.rows_per_step(),
                      c.sequence_length, c.accumulation_steps, c.micro_batch, loader.epochs_before(total_steps));
  return text;
}

}  // namespace

std::string describe_run(const LoadedRecipe& loaded) {
  const Tokenizer tokenizer = Tokenizer::load(loaded.tokenizer_path());
  const LoadedData data = load_training_data(loaded, tokenizer);
  const DataLoader loader(data.train, loaded.recipe.data);
  const int64_t total_steps = count_steps(loaded, loader);
  const LrScheduleConfig& s = loaded.recipe.schedule;
  std::string text = fmt::format("run folder  {}\nstage       {}\n", loaded.run_folder.string(), loaded.recipe.stage);
  text += describe_drafter(loaded);
  text += describe_classes(loaded, weights_without_memory(loaded)) + describe_data(loaded, data, loader, total_steps);
  text += fmt::format("learning rate ({})\n  first {:.3e}, middle {:.3e}, last {:.3e}\n", s.kind, learning_rate(s, 0, total_steps), learning_rate(s, total_steps / 2, total_steps),
                      learning_rate(s, total_steps - 1, total_steps));
  const MemoryPlan plan = plan_memory_anywhere(loaded, program_bytes());
  text += describe(plan);
  if (const int64_t free = obtainable_bytes(); plan.total > free)
    text += fmt::format("  more than the {:.3f} GiB that are free here: the run would compute again what it takes to fit, or refuse to start\n", static_cast<double>(free) / (1 << 30));
  return text;
}

}  // namespace temper
