#include "train/trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/json_integer.h"
#include "base/log.h"
#include "base/process.h"
#include "base/whole_file.h"
#include "checkpoint/load_model.h"
#include "model/deepseek_v4/init.h"
#include "model/deepseek_v4/released_json.h"
#include "ops/expert_ids.h"
#include "optim/grad_clip.h"
#include "train/held_out.h"

namespace temper {
namespace {

// Counters of a checkpoint: sums with what a run adds fit 64 bits.
constexpr int64_t kMostSteps = int64_t{1} << 40, kMostTokens = int64_t{1} << 60;

constexpr double kMostPasses = 1 << 20;   // as data.epochs
constexpr const char* kHeldOutLoss = "eval/held_out_loss";

// Blanks and "-" do not belong into names of metrics.
std::string metric_name(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
  return text;
}

// A run that cannot fit fails before its data are read: those only add to the plan.
const LoadedRecipe& checked(const LoadedRecipe& loaded) {
  plan_memory(loaded, program_bytes());
  return loaded;
}

// The architecture and, for a new run, the values; a resumed run takes its values from the checkpoint.
ModelWeights first_weights(const LoadedRecipe& loaded, const TrainingCheckpoint* checkpoint) {
  const TrainRecipe& recipe = loaded.recipe;
  const WeightsOptions options = weights_options(recipe);
  if (checkpoint) {
    const std::string where = checkpoint->folder().string();
    return ModelWeights(parse_model_config(parse_json(checkpoint->file("config.json"), where), where), options);
  }
  if (!recipe.model.path.empty()) {
    LoadedModel model = load_model(loaded.resolve(recipe.model.path), options);
    if (model.mtp_missing && recipe.train.mtp_loss_weight > 0)
      throw Error({.kind = ErrorKind::kConfig, .what = "train.mtp_loss_weight is set, but the model's files hold no MTP tensors", .where = recipe.model.path,
                   .fix = "set it to 0"});
    return std::move(model.weights);
  }
  ModelWeights weights(loaded.model_config, options);
  initialise(weights, {.seed = static_cast<uint64_t>(recipe.train.seed), .std = recipe.model.init_std, .hc_scale = recipe.model.hc_scale});
  return weights;
}

// A resumed run takes them from its checkpoint: it does not need the folders it was started from.
Json first_config_json(const LoadedRecipe& loaded, const TrainingCheckpoint* checkpoint) {
  if (checkpoint) return parse_json(checkpoint->file("config.json"), checkpoint->folder().string(), ErrorKind::kCheckpoint);
  const fs::path path = loaded.resolve(loaded.recipe.model.path.empty() ? loaded.recipe.model.config : loaded.recipe.model.path);
  return read_json(fs::is_directory(path) ? path / "config.json" : path, ErrorKind::kConfig);
}

NamedFiles first_companions(const LoadedRecipe& loaded, const TrainingCheckpoint* checkpoint) {
  const std::string& model = loaded.recipe.model.path;
  if (!checkpoint) return read_companions(model.empty() ? fs::path() : loaded.resolve(model), loaded.tokenizer_path());
  NamedFiles files;
  for (const ManifestFile& file : checkpoint->manifest().files)
    if (is_companion(file.name)) files.emplace_back(file.name, checkpoint->file(file.name));
  return files;
}

}  // namespace

int64_t count_steps(const LoadedRecipe& loaded, const DataLoader& loader) {
  const int64_t wanted = loaded.recipe.train.steps, in_data = loader.n_steps();
  if (wanted == 0) return in_data;
  if (in_data >= 0 && wanted > in_data)
    throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("train.steps = {}, but data.epochs = {} ends after {} steps", wanted, loaded.recipe.data.epochs, in_data),
                 .where = loaded.file.string(), .fix = "set data.epochs = 0 to go on with further passes, or lower train.steps"});
  const double passes = static_cast<double>(wanted) * static_cast<double>(loaded.recipe.data.rows_per_step()) / static_cast<double>(loader.n_rows_of_first_epoch());
  if (passes > kMostPasses)
    throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("train.steps = {} would be about {:.0f} passes over the data, at most {:.0f} are made", wanted, passes, kMostPasses),
                 .where = loaded.file.string(), .fix = "lower train.steps, or give more data"});
  return wanted;
}

Trainer::Trainer(const LoadedRecipe& loaded)
    : loaded_(checked(loaded)),
      recipe_(loaded_.recipe),
      resolved_(render_toml(loaded_.recipe)),
      record_(loaded.run_folder),
      tokenizer_(Tokenizer::load(loaded.tokenizer_path())),
      data_(load_training_data(loaded, tokenizer_)),
      loader_(data_.train, recipe_.data),
      total_steps_(count_steps(loaded, loader_)),
      plan_(plan_memory(loaded_, program_bytes())),
      resume_(find_resume_point(record_.checkpoints(), recipe_.checkpoint.fallback)),
      resumed_(resume_.checkpoint != nullptr),
      environment_(describe_environment()),
      model_json_(first_config_json(loaded_, resume_.checkpoint.get())),
      companions_(first_companions(loaded_, resume_.checkpoint.get())),
      weights_(first_weights(loaded_, resume_.checkpoint.get())),
      drafter_(drafter_of_run(loaded_, resume_.checkpoint ? std::optional<fs::path>(resume_.checkpoint->folder()) : std::nullopt)),
      checkpoints_({.folder = record_.checkpoints(), .keep_last = recipe_.checkpoint.keep_last}),
      recovery_(recipe_.train.max_consecutive_skips) {
  note_damaged_checkpoints();
  check_recipe_unchanged();
  check_environment_unchanged();
  weights_.enable_gradients(frozen_rows(recipe_.optim, trained_parts(recipe_)));
  optimizer_ = std::make_unique<Optimizer>(weights_, recipe_.optim, weights_.options().compute_dtype);
  StepModelConfig step_config = step_model_config(recipe_);
  step_config.recompute = plan_.recompute;
  model_ = std::make_unique<StepModel>(weights_, step_config);
  start_or_resume();
}

Trainer::~Trainer() = default;

void Trainer::note_damaged_checkpoints() {
  if (!resumed_) return;
  const int64_t step = resume_.checkpoint->manifest().step;
  for (const auto& [was, is, what] : resume_.damaged)
    record_.event("checkpoint_damaged", step, {{"cause", what}, {"checkpoint", was}, {"kept_as", is}, {"going_on_from", resume_.checkpoint->folder().filename().string()}});
}

// The recipe inside the checkpoint decides: its digest says that nobody has edited it.  resolved.toml is for people.
void Trainer::check_recipe_unchanged() {
  if (!resumed_) return;
  const TrainingCheckpoint& checkpoint = *resume_.checkpoint;
  const std::string earlier = checkpoint.file("recipe.toml");
  const std::vector<RecipeChange> changes = recipe_changes(earlier, resolved_, {});
  const std::vector<std::string> refused = changed_keys(earlier, resolved_, recipe_.allow_changes);
  if (!refused.empty())
    throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("the recipe has changed since this run was started: {}", fmt::join(refused, ", ")),
                 .where = record_.folder().string(),
                 .fix = "undo the change, set run_folder to start another run, or name these keys in allow_changes to go on with them"});
  const int64_t step = checkpoint.manifest().step;
  if (!changes.empty()) {
    Json list = Json::object();
    for (const RecipeChange& change : changes) list[change.key] = {change.before, change.now};
    log_warn("train", "the run goes on with a changed recipe: {}", list.dump());
    record_.event("recipe_changed", step, {{"cause", "allow_changes"}, {"changes", std::move(list)}});
  }
  const auto differs = [](const std::string& a, const std::string& b) {
    try {
      return !recipe_changes(a, b, {}).empty();
    } catch (const Error&) {
      return true;   // not even TOML
    }
  };
  const std::optional<std::string> file = record_.earlier_recipe();
  if (file && (!differs(*file, earlier) || !differs(*file, resolved_))) return;
  const std::string what = file ? "resolved.toml is not the recipe of the checkpoint" : "resolved.toml is missing";
  log_warn("train", "{}: the recipe inside {} decides", what, checkpoint.folder().string());
  record_.event("records_damaged", step, {{"cause", what}, {"file", "resolved.toml"}});
}

void Trainer::check_environment_unchanged() {
  if (!resumed_) return;
  const TrainingCheckpoint& checkpoint = *resume_.checkpoint;
  const Json before = checkpoint.has_file("environment.json") ? parse_json(checkpoint.file("environment.json"), checkpoint.folder().string(), ErrorKind::kCheckpoint) : record_.earlier_environment();
  const std::vector<EnvironmentChange> changes = environment_changes(before, environment_);
  if (changes.empty()) return;
  if (recipe_.train.exact_resume)
    throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("the numbers of this run would change: {}", describe(changes)), .where = checkpoint.folder().string(),
                 .fix = "go on where it ran before (OMP_NUM_THREADS, TEMPER_ISA, TEMPER_KERNELS and the program's version), or set train.exact_resume = false"});
  log_warn("train", "resumed where the numbers may differ from those of an undisturbed run: {}", describe(changes));
  Json list = Json::object();
  for (const EnvironmentChange& change : changes) list[change.name] = {change.before, change.now};
  record_.event("environment_changed", checkpoint.manifest().step, {{"cause", "the run goes on in another environment"}, {"changes", std::move(list)}});
}

void Trainer::start_or_resume() {
  if (resumed_) restore(*resume_.checkpoint);
  resume_.checkpoint.reset();
  record_.write_environment(environment_, step_);
  model_->refresh();
  record_.write_recipe(resolved_);
  const MetricsCheck found = record_.start_at(resumed_ ? step_ : -1);   // a checkpoint is saved after the measurements of its step
  record_.event(resumed_ ? "resume" : "start", step_, {{"cause", resumed_ ? "the run folder holds a checkpoint" : "new run"}, {"total_steps", total_steps_}});
  if (!found.complete()) {
    log_warn("train", "metrics.jsonl is not complete up to step {}: {}", step_, describe(found));
    Json details = {{"cause", "metrics.jsonl is not complete"}, {"file", "metrics.jsonl"}};
    details.update(to_json(found));
    record_.event("records_damaged", step_, details);
  }
  record_.event("data", step_, data_.report.to_json());
  for (const std::string& warning : data_.report.warnings()) record_.event("warning", step_, {{"cause", warning}});
  record_.event("memory", step_, {{"plan", to_json(plan_)}});
  note_drafter();
  say_what_has_no_effect();
  last_checkpoint_step_ = resumed_ ? step_ : -1;
  evaluation_missing_ = evaluation_due() && !record_.has_metric(step_, kHeldOutLoss);
  finished_before_ = resumed_ && step_ >= total_steps_ && !evaluation_missing_;
}

void Trainer::say_what_has_no_effect() {
  const std::vector<std::string> sentences = settings_without_effect(loaded_, total_steps_, data_.held_out->size());
  for (const std::string& sentence : sentences) log_warn("train", "{}", sentence);
  if (!sentences.empty()) record_.event("no_effect", step_, {{"cause", "settings without effect in this run"}, {"settings", sentences}});
}

void Trainer::note_drafter() {
  if (drafter_) {
    log_info("train", "the drafter is DSpark ({} stages, {} tensors in {}): carried into exports, not trained; the MTP loss is off", drafter_->n_stages, drafter_->n_tensors, drafter_->folder);
    log_warn("train", "{}", kDrafterNote);
    record_.event("drafter", step_, to_json(*drafter_));
  } else if (loaded_.dspark && recipe_.model.path.empty()) {
    log_warn("train", "{} has dspark_* keys, but random weights have no drafter: the keys are not written", recipe_.model.config);
    record_.event("drafter", step_, {{"kind", "none"}, {"cause", "dspark_* keys without tensors are not written"}});
  } else if (loaded_.dspark) {   // the reader of the folder has logged it
    record_.event("drafter", step_, {{"kind", "none"}, {"cause", "dspark_* keys without tensors are not written"}});
  }
}

void Trainer::restore(const TrainingCheckpoint& checkpoint) {
  WhileDoing work(fmt::format("resuming from {}", checkpoint.folder().string()));
  const Manifest& manifest = checkpoint.manifest();
  for (const Parameter& p : weights_.parameters()) {
    checkpoint.load_into(std::string(kWeightPrefix) + p.row.name, p.master);
    if (p.row.holds_ids()) check_expert_ids(p.master, weights_.config().n_routed_experts, {.name = p.row.name, .file = checkpoint.folder().string()});
  }
  for (const auto& [name, tensor] : optimizer_->states()) checkpoint.load_into(name, tensor);
  const Json& state = manifest.state;
  const std::string where = checkpoint.folder().string();
  const auto number = [&](const char* key, int64_t most = kMostSteps) { return json_integer(state, key, {0, most}, where, ErrorKind::kCheckpoint); };
  optimizer_->set_n_steps(number("optimizer_steps"));
  recovery_.restore(number("consecutive_skips"), number("total_skips"));
  tokens_ = number("tokens", kMostTokens);
  trained_tokens_ = number("trained_tokens", kMostTokens);
  step_ = loader_.resume_step(manifest.data_position);
  if (step_ != manifest.step)
    throw Error({.kind = ErrorKind::kCheckpoint, .what = fmt::format("the data position is that of step {}, the checkpoint is of step {}", step_, manifest.step), .where = where,
                 .fix = "resume from an earlier checkpoint of the same run, after removing this one"});
}

void Trainer::run() {
  if (finished_before_) {
    log_info("train", "this run is finished: {} steps; newest checkpoint {}", total_steps_, find_latest_checkpoint(record_.checkpoints())->string());
    return;
  }
  log_info("train", "{} steps of about {} tokens in {} from step {}", total_steps_, recipe_.data.rows_per_step() * recipe_.data.sequence_length,
           record_.folder().string(), step_);
  progress_ = std::make_unique<Progress>(step_, total_steps_, recipe_.train.log_every);
  last_checkpoint_at_ = Clock::now();
  if (evaluation_missing_) evaluate();
  stop_if_asked();
  while (step_ < total_steps_) {
    one_step();
    note_written_checkpoint(/*wait=*/false);
    if (evaluation_due()) evaluate();
    checkpoint_if_due();
    stop_if_asked();
  }
  save_checkpoint("end");
  note_written_checkpoint(/*wait=*/true);
  record_.event("finish", step_, {{"tokens", tokens_}, {"skipped_steps", recovery_.total_skips()}, {"peak_resident_bytes", peak_resident_bytes()}});
  progress_.reset();
  log_info("train", "finished {} steps, {} tokens; checkpoint {}", step_, tokens_, find_latest_checkpoint(record_.checkpoints())->string());
}

void Trainer::one_step() {
  WhileDoing work(fmt::format("step {}", step_ + 1));
  const auto start = Clock::now();
  const StepBatch batch = loader_.batch_at(step_);
  const double data_seconds = seconds_since(start);
  const double lr = learning_rate(recipe_.schedule, step_, total_steps_);
  const StepResult result =
      train_step(*model_, *optimizer_, recovery_, batch, {.step = step_ + 1, .lr = lr, .router_bias_speed = recipe_.train.router_bias_speed});
  ++step_;
  tokens_ += batch.n_tokens;
  trained_tokens_ += batch.n_trained_tokens;
  if (result.skipped) {
    progress_->say(fmt::format("step {} skipped: {}", step_, *result.skipped));
    record_.event("skip", step_, {{"cause", *result.skipped}, {"consecutive", recovery_.consecutive_skips()}});
  }
  log_step(batch, result, lr, data_seconds);
}

void Trainer::log_step(const StepBatch& batch, const StepResult& result, double lr, double data_seconds) {
  const double step_seconds = data_seconds + result.forward_backward_seconds + result.update_seconds;
  std::vector<Scalar> values = {{"train/loss", result.loss}, {"train/lm_loss", result.lm_loss}};
  if (recipe_.train.mtp_loss_weight > 0) values.emplace_back("train/mtp_loss", result.mtp_loss);
  if (recipe_.train.balance_loss_weight > 0) values.emplace_back("train/balance_loss", result.balance_loss);
  if (recipe_.train.indexer_loss_weight > 0) values.emplace_back("train/indexer_loss", result.indexer_loss);
  values.insert(values.end(), {{"train/learning_rate", lr},
                               {"train/epoch", loader_.epochs_before(step_)},
                               {"train/tokens", static_cast<double>(tokens_)},
                               {"train/trained_tokens", static_cast<double>(trained_tokens_)},
                               {"train/trained_token_fraction", static_cast<double>(batch.n_trained_tokens) / static_cast<double>(batch.n_tokens)},
                               {"train/skipped", result.skipped ? 1.0 : 0.0},
                               {"grad_norm/all", result.norms.trunk}});
  for (const auto& [name, norm] : result.norms.by_class) values.emplace_back("grad_norm/" + metric_name(name), norm);
  for (size_t i = 0; i < result.load_ratio.size(); ++i) values.emplace_back(fmt::format("moe/max_expert_load_ratio/layer_{}", i), result.load_ratio[i]);
  values.insert(values.end(), {{"time/step_seconds", step_seconds},
                               {"time/data_seconds", data_seconds},
                               {"time/forward_backward_seconds", result.forward_backward_seconds},
                               {"time/update_seconds", result.update_seconds},
                               {"time/tokens_per_second", static_cast<double>(batch.n_tokens) / step_seconds}});
  record_.metrics(step_, values);
  progress_->step(step_, result.loss, lr, batch.n_tokens);
}

void Trainer::stop_if_asked() {
  if (!interrupt_requested() || (step_ == total_steps_ && !evaluation_missing_)) return;   // the last step done, it ends as ever
  save_checkpoint("stop");
  note_written_checkpoint(/*wait=*/true);
  record_.event("stop", step_, {{"cause", "a stop was asked for (Ctrl-C or SIGTERM)"}});
  progress_.reset();
  log_info("train", "stopped after step {}; run the same command again to go on", step_);
  check_interrupt();
}

bool Trainer::evaluation_due() const {
  const int64_t every = recipe_.eval.every_steps;
  return data_.held_out->size() > 0 && (step_ == 0 || step_ == total_steps_ || (every > 0 && step_ % every == 0));
}

// A stop cuts an evaluation short: it can take many times as long as a step.  The resumed run makes it first.
void Trainer::evaluate() {
  evaluation_missing_ = true;
  HeldOutLoss held_out;
  try {
    held_out = held_out_loss(*model_, held_out_batches(*data_.held_out, recipe_.data));
  } catch (const Interrupted&) {
    return;
  }
  evaluation_missing_ = false;
  record_.metrics(step_, {{kHeldOutLoss, held_out.loss}, {"eval/held_out_tokens", held_out.n_tokens}});
  record_.event("evaluation", step_, {{"held_out_loss", held_out.loss}});
  progress_->say(fmt::format("step {} held-out loss {:.4f} over {:.0f} tokens", step_, held_out.loss, held_out.n_tokens));
}

void Trainer::checkpoint_if_due() {
  if (step_ == total_steps_) return;   // the end saves its own
  const int64_t every = recipe_.checkpoint.every_steps;
  const double seconds = recipe_.checkpoint.every_seconds;
  if ((every > 0 && step_ % every == 0) || (seconds > 0 && seconds_since(last_checkpoint_at_) > seconds)) save_checkpoint("interval");
}

// The audit record names a checkpoint once it is complete; what went wrong in the background is thrown here.
void Trainer::note_written_checkpoint(bool wait) {
  if (writing_cause_.empty() || (!wait && checkpoints_.busy())) return;
  checkpoints_.wait();
  record_.event("checkpoint", last_checkpoint_step_, {{"cause", writing_cause_}, {"write_seconds", checkpoints_.last_write_seconds()}, {"peak_resident_bytes", peak_resident_bytes()}});
  writing_cause_.clear();
}

// A checkpoint of broken weights would push out those that can be used.
void Trainer::expect_finite(const std::vector<CheckpointTensor>& tensors) {
  std::vector<Tensor> values;
  std::vector<const CheckpointTensor*> floats;
  for (const CheckpointTensor& tensor : tensors) {
    if (!tensor.value.is_floating_point()) continue;
    floats.push_back(&tensor);
    values.push_back(tensor.value);
  }
  const std::vector<double> sums = sums_of_squares(values);   // not finite exactly if an element is not
  for (size_t i = 0; i < sums.size(); ++i) {
    if (std::isfinite(sums[i])) continue;
    const std::string what = fmt::format("{} has values that are not finite", floats[i]->name);
    record_.event("not_finite", step_, {{"cause", what}});
    throw Error({.kind = ErrorKind::kNumerics, .what = what + ": no checkpoint was written", .where = fmt::format("step {}", step_),
                 .fix = "lower schedule.lr or set optim.clip_norm (and name the key in allow_changes), then run the same command again: it goes on from the checkpoint before"});
  }
}

void Trainer::save_checkpoint(const char* cause) {
  if (step_ == last_checkpoint_step_) return;
  note_written_checkpoint(/*wait=*/true);
  WhileDoing work(fmt::format("saving the checkpoint of step {}", step_));
  record_.flush();
  CheckpointContent content{.step = step_, .seed = static_cast<uint64_t>(recipe_.train.seed), .data_position = loader_.position(step_), .state = {}, .tensors = {}, .files = {}};
  if (drafter_) content.carried.push_back(to_json(*drafter_));
  content.state = {{"optimizer_steps", optimizer_->n_steps()}, {"consecutive_skips", recovery_.consecutive_skips()}, {"total_skips", recovery_.total_skips()},
                   {"tokens", tokens_}, {"trained_tokens", trained_tokens_}};
  for (const Parameter& p : weights_.parameters()) content.tensors.push_back(whole_tensor(std::string(kWeightPrefix) + p.row.name, p.master));
  for (const auto& [name, tensor] : optimizer_->states()) content.tensors.push_back(whole_tensor(name, tensor));
  expect_finite(content.tensors);
  content.files = companions_;
  content.files.emplace_back("recipe.toml", resolved_);
  content.files.emplace_back("config.json", released_json(weights_.config(), model_json_).dump(2) + "\n");
  content.files.emplace_back("environment.json", environment_.dump(2) + "\n");
  checkpoints_.save(content);
  last_checkpoint_step_ = step_;
  writing_cause_ = cause;
  last_checkpoint_at_ = Clock::now();
}

}  // namespace temper
