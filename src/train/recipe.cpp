#include "train/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/json_checks.h"
#include "base/whole_file.h"
#include "checkpoint/drafter.h"
#include "data/chat_release.h"

namespace temper {
namespace {

[[noreturn]] void fail(const fs::path& file, const std::string& what, const std::string& fix) {
  throw Error({.kind = ErrorKind::kConfig, .what = what, .where = file.string(), .fix = fix});
}

void check(const TrainRecipe& r, const fs::path& file) {
  if (r.model.path.empty() == r.model.config.empty())
    fail(file, r.model.path.empty() ? "[model] names neither path nor config" : "[model] names both path and config",
         "set path to start from existing weights, or config to start from random ones");
  if (r.model.path.empty() && r.model.tokenizer.empty()) fail(file, "[model] tokenizer is missing", "random weights bring no tokenizer: set [model] tokenizer");
  if (r.data.sources.empty()) fail(file, "there is nothing to train on", "add a [[data.sources]] section with a path");
  // Each may be large, all at once overflow sizes of tensors.
  constexpr int64_t kMostMicroBatchTokens = int64_t{1} << 26, kMostStepTokens = int64_t{1} << 40;
  if (const int64_t n = r.data.sequence_length * r.data.micro_batch; n > kMostMicroBatchTokens)
    fail(file, "data.sequence_length x data.micro_batch = " + std::to_string(n) + " tokens, at most " + std::to_string(kMostMicroBatchTokens), "lower one of them; data.accumulation_steps makes steps larger");
  if (const int64_t n = r.data.sequence_length * r.data.rows_per_step(); n > kMostStepTokens)
    fail(file, "data.sequence_length x data.micro_batch x data.accumulation_steps = " + std::to_string(n) + " tokens, at most " + std::to_string(kMostStepTokens), "lower one of them");
  if (r.train.steps == 0 && r.data.epochs == 0) fail(file, "neither train.steps nor data.epochs is set", "set one of them");
}

// "optim.muon.momentum" -> "0.95", "data.sources[1].path" -> ...
void flatten(const toml::node& node, const std::string& path, std::map<std::string, std::string>& into) {
  if (const toml::table* table = node.as_table()) {
    for (const auto& [key, value] : *table) flatten(value, path.empty() ? std::string(key.str()) : path + "." + std::string(key.str()), into);
  } else if (const toml::array* array = node.as_array(); array && !array->empty() && array->front().is_table()) {
    for (size_t i = 0; i < array->size(); ++i) flatten((*array)[i], path + "[" + std::to_string(i) + "]", into);
  } else {
    std::ostringstream text;
    node.visit([&](const auto& value) { text << value; });
    into[path] = text.str();
  }
}

bool is_below(const std::string& key, const std::string& section) {
  return key == section || (key.starts_with(section) && (key[section.size()] == '.' || key[section.size()] == '['));
}

}  // namespace

fs::path LoadedRecipe::resolve(const std::string& path) const { return fs::path(path).is_absolute() ? fs::path(path) : folder / path; }

fs::path LoadedRecipe::tokenizer_path() const { return resolve(recipe.model.tokenizer.empty() ? recipe.model.path : recipe.model.tokenizer); }

std::string LoadedRecipe::drafter_choice() const {
  const std::string& choice = recipe.model.drafter;
  return choice == kKeepDrafter || choice == kDropDrafter ? choice : resolve(choice).string();
}

LoadedRecipe load_recipe(const fs::path& file, const std::vector<std::string>& overrides) {
  LoadedRecipe loaded;
  if (!fs::exists(file)) throw Error({.kind = ErrorKind::kConfig, .what = "there is no such recipe", .where = file.string(), .fix = "check the path"});
  for (const std::string& text : overrides) require_utf8(text);   // a TOML file is UTF-8
  check_small_file(file, ErrorKind::kConfig);
  read_config(file, overrides, loaded.recipe);
  loaded.file = file;
  loaded.folder = fs::absolute(file).parent_path();
  check(loaded.recipe, file);
  const TrainRecipe& r = loaded.recipe;
  loaded.run_folder = r.run_folder.empty() ? fs::path("runs") / file.stem() : fs::path(r.run_folder);
  require_utf8(loaded.run_folder.string());   // it may come from the name of the recipe
  const fs::path model = loaded.resolve(r.model.path.empty() ? r.model.config : r.model.path);
  loaded.model_config = read_model_config(model);
  loaded.dspark = read_dspark_config(model, loaded.model_config);
  const bool dspark = loaded.dspark || (r.model.drafter != kKeepDrafter && r.model.drafter != kDropDrafter);
  if (r.train.mtp_loss_weight > 0 && (dspark || loaded.model_config.n_mtp_layers == 0 || r.model.drafter != kKeepDrafter))
    fail(file, fmt::format("train.mtp_loss_weight = {}, but {}", r.train.mtp_loss_weight,
                           dspark ? "the model's drafter is DSpark, which is carried and not trained: it is not an MTP layer, and there is no MTP loss"
                           : loaded.model_config.n_mtp_layers == 0 ? "the model has no MTP block" : "[model] drafter drops its MTP block"),
         "set it to 0");
  if (r.model.drafter != kKeepDrafter) loaded.model_config = without_mtp(loaded.model_config);
  if (r.stage == "sft")
    loaded.recipe.data.chat_release = resolve_chat_release(r.data.chat_release, r.data.effort, r.data.thinking_mode, {model, loaded.tokenizer_path()}, kChatReleaseInRecipe);
  return loaded;
}

WeightsOptions weights_options(const TrainRecipe& recipe) {
  return {.compute_dtype = parse_dtype(recipe.train.dtype), .mtp = recipe.model.drafter == kKeepDrafter, .separate_compute = recipe.qat.enabled};
}

TrainedParts trained_parts(const TrainRecipe& recipe) {
  return {.mtp = recipe.train.mtp_loss_weight > 0, .indexer = recipe.train.indexer_loss_weight > 0};
}

StepModelConfig step_model_config(const TrainRecipe& recipe) {
  const TrainConfig& t = recipe.train;
  return {.mtp_weight = t.mtp_loss_weight, .balance_weight = t.balance_loss_weight, .indexer_weight = t.indexer_loss_weight, .recompute = {}, .qat = recipe.qat};
}

std::vector<RecipeChange> recipe_changes(const std::string& earlier_toml, const std::string& toml, const std::vector<std::string>& allowed) {
  TrainRecipe usual;
  std::map<std::string, std::string> before, after, defaults;
  flatten(parse_toml(earlier_toml, "the run's recipe"), "", before);
  flatten(parse_toml(toml, "the recipe"), "", after);
  flatten(parse_toml(render_toml(usual), "the defaults"), "", defaults);
  // A key of a newer program is not in recipes written before it.
  for (const auto& [key, value] : defaults) before.emplace(key, value), after.emplace(key, value);
  std::vector<std::string> free = {"allow_changes", "checkpoint", "eval", "memory", "train.recompute", "train.exact_resume", "train.log_every", "train.max_consecutive_skips", "run_folder"};
  free.insert(free.end(), allowed.begin(), allowed.end());
  const auto may_change = [&](const std::string& key) {
    return std::any_of(free.begin(), free.end(), [&](const std::string& f) { return f == "*" || is_below(key, f); });
  };
  std::vector<RecipeChange> changes;
  for (const auto& [key, value] : before)
    if (const auto found = after.find(key); (found == after.end() || found->second != value) && !may_change(key))
      changes.push_back({.key = key, .before = value, .now = found == after.end() ? "" : found->second});
  for (const auto& [key, value] : after)
    if (!before.count(key) && !may_change(key)) changes.push_back({.key = key, .before = "", .now = value});
  return changes;
}

std::vector<std::string> changed_keys(const std::string& earlier_toml, const std::string& toml, const std::vector<std::string>& allowed) {
  std::vector<std::string> keys;
  for (const RecipeChange& change : recipe_changes(earlier_toml, toml, allowed)) keys.push_back(change.key);
  return keys;
}

}  // namespace temper
