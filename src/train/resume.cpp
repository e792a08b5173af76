#include "train/resume.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace temper {
namespace {

// Null and the error for a damaged one.
std::unique_ptr<const TrainingCheckpoint> open_whole(const fs::path& folder, std::optional<Error>& error) {
  try {
    auto checkpoint = std::make_unique<const TrainingCheckpoint>(folder);
    checkpoint->verify();
    return checkpoint;
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kResource) throw;   // the machine, not the checkpoint
    error = e;
    return nullptr;
  }
}

// Renamed, so that it is kept but no longer taken for a checkpoint.
fs::path set_aside(const fs::path& folder) {
  fs::path target = folder.string() + ".damaged";
  for (int n = 2; fs::exists(target); ++n) target = fmt::format("{}.damaged-{}", folder.string(), n);
  rename_path(folder, target);
  sync_folder(folder.parent_path());
  return target;
}

[[noreturn]] void refuse_damaged(const Error& newest, const std::vector<fs::path>& older) {
  std::optional<Error> ignored;
  std::string fix = older.empty() ? "there is no older checkpoint: give this run another run_folder"
                                  : "no older checkpoint of this run is whole: give this run another run_folder";
  for (auto path = older.rbegin(); path != older.rend(); ++path)
    if (open_whole(*path, ignored)) {
      fix = fmt::format("set [checkpoint] fallback = true to go on from {}, which is whole and the newest before it", path->string());
      break;
    }
  throw Error({.kind = ErrorKind::kCheckpoint, .what = "the newest checkpoint is damaged: " + newest.parts().what, .where = newest.parts().where, .fix = std::move(fix)});
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

}  // namespace

ResumePoint find_resume_point(const fs::path& folder, bool fallback) {
  const WhileDoing work("looking for the checkpoint to resume from");
  ResumePoint point;
  for (std::vector<fs::path> all = list_checkpoints(folder); !all.empty(); all.pop_back()) {
    std::optional<Error> error;
    point.checkpoint = open_whole(all.back(), error);
    if (point.checkpoint) return point;
    if (!fallback) refuse_damaged(*error, std::vector<fs::path>(all.begin(), all.end() - 1));
    const fs::path is = set_aside(all.back());
    log_warn("checkpoint", "{} is damaged ({}); it is kept as {}, the run goes on from the one before", all.back().string(), error->parts().what, is.filename().string());
    point.damaged.push_back({.was = all.back().filename().string(), .is = is.filename().string(), .what = error->parts().what});
    if (all.size() == 1)
      throw Error({.kind = ErrorKind::kCheckpoint, .what = "no checkpoint of this run is whole", .where = folder.string(), .fix = "give this run another run_folder to start again"});
  }
  return point;
}

std::vector<EnvironmentChange> environment_changes(const Json& before, const Json& now) {
  std::vector<EnvironmentChange> changes;
  if (!before.is_object()) return changes;
  for (const char* name : {"device", "isa", "threads", "kernels", "torch", "temper", "commit"}) {
    const auto then = before.find(name), today = now.find(name);
    if (then == before.end() || today == now.end() || *then == *today) continue;
    changes.push_back({.name = name, .before = text_of(*then), .now = text_of(*today)});
  }
  return changes;
}

std::string describe(const std::vector<EnvironmentChange>& changes) {
  std::string text;
  for (const auto& [name, before, now] : changes) text += fmt::format("{}{} {} -> {}", text.empty() ? "" : ", ", name, before, now);
  return text;
}

std::vector<std::string> settings_without_effect(const LoadedRecipe& loaded, int64_t total_steps, int64_t n_held_out_rows) {
  const TrainRecipe& r = loaded.recipe;
  const TrainRecipe usual;
  std::vector<std::string> found;
  const auto note = [&](bool unused, std::string sentence) {
    if (unused) found.push_back(std::move(sentence));
  };
  const auto& ratios = loaded.model_config.compress_ratios;
  const bool has_indexer = std::find(ratios.begin(), ratios.end(), 4) != ratios.end();
  note(n_held_out_rows == 0 && r.data.held_out_fraction > 0, fmt::format("data.held_out_fraction = {} takes no row of the data: there is no held-out loss", r.data.held_out_fraction));
  note(n_held_out_rows == 0 && r.eval.every_steps > 0, fmt::format("eval.every_steps = {}, but no rows are held out (data.held_out_fraction, data.held_out_sources)", r.eval.every_steps));
  note(n_held_out_rows > 0 && r.eval.every_steps > total_steps, fmt::format("eval.every_steps = {} is more than the {} steps of the run", r.eval.every_steps, total_steps));
  note(r.schedule.warmup_steps >= total_steps && r.schedule.warmup_steps > 0,
       fmt::format("schedule.warmup_steps = {} does not end within the {} steps of the run: the learning rate never reaches schedule.lr", r.schedule.warmup_steps, total_steps));
  note(r.schedule.kind != "wsd" && r.schedule.decay_fraction != usual.schedule.decay_fraction, fmt::format("schedule.decay_fraction is for kind wsd, not {}", r.schedule.kind));
  note(r.schedule.kind == "constant" && r.schedule.min_ratio != usual.schedule.min_ratio, "schedule.min_ratio has no effect on a constant learning rate");
  note(r.optim.kind == "adamw" && (r.optim.muon.momentum != usual.optim.muon.momentum || r.optim.muon.weight_decay != usual.optim.muon.weight_decay ||
                                   r.optim.muon.update_rms != usual.optim.muon.update_rms || r.optim.muon.precision != usual.optim.muon.precision),
       "[optim.muon] is set, but optim.kind is adamw");
  note(!r.model.path.empty() && (r.model.init_std != usual.model.init_std || r.model.hc_scale != usual.model.hc_scale), "model.init_std and model.hc_scale are for random weights, and model.path gives weights");
  note(r.train.indexer_loss_weight > 0 && !has_indexer, "train.indexer_loss_weight is set, but the model has no indexer");
  note(loaded.model_config.n_hash_layers == loaded.model_config.n_layers && (r.train.router_bias_speed > 0 || r.train.balance_loss_weight > 0) && r.train.mtp_loss_weight == 0,
       "train.router_bias_speed and train.balance_loss_weight are for learned routers, and every layer is routed by hash");
  note(r.data.packing == "none" && r.data.packing_window != usual.data.packing_window, "data.packing_window has no effect with data.packing = \"none\"");
  note(r.stage == "cpt" && (r.data.mask_history != usual.data.mask_history || r.data.thinking_mode != usual.data.thinking_mode), "data.mask_history and data.thinking_mode are for conversations (stage sft)");
  return found;
}

}  // namespace temper
