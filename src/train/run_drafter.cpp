#include "train/run_drafter.h"

#include <fmt/format.h>

#include "base/log.h"
#include "checkpoint/training_checkpoint.h"
#include "checkpoint/weight_source.h"

namespace temper {
namespace {

constexpr double kGigabyte = 1e9;

// What the folder the run starts from carries.
std::optional<CarriedDrafter> carried_by_model(const LoadedRecipe& loaded) {
  if (loaded.recipe.model.path.empty()) return std::nullopt;
  return open_weights(loaded.resolve(loaded.recipe.model.path))->carried_drafter();
}

std::optional<DrafterRecord> record_in(const std::optional<fs::path>& checkpoint) {
  if (!checkpoint) return std::nullopt;
  const std::unique_ptr<WeightSource> source = open_weights(*checkpoint);
  return source->carried_drafter() ? source->carried_drafter()->record : std::nullopt;
}

DrafterRecord read_record(const Drafter& drafter) {
  log_info("train", "reading the drafter in {} once for its digest ({:.3f} GB)", drafter.folder().string(), static_cast<double>(drafter.n_bytes()) / kGigabyte);
  return drafter.record();
}

}  // namespace

std::optional<DrafterRecord> drafter_of_run(const LoadedRecipe& loaded, const std::optional<fs::path>& latest) {
  const std::string choice = loaded.drafter_choice();
  if (choice == kDropDrafter) return std::nullopt;
  const std::optional<DrafterRecord> recorded = record_in(latest);
  if (choice == kKeepDrafter) {
    if (latest) return recorded;
    const std::optional<CarriedDrafter> carried = carried_by_model(loaded);
    if (!carried) return std::nullopt;
    return carried->record ? *carried->record : read_record(Drafter(carried->folder, loaded.model_config));
  }
  const Drafter drafter(choice, loaded.model_config);
  if (recorded && recorded->folder == drafter.folder()) return recorded;
  return read_record(drafter);
}

std::string describe_drafter(const LoadedRecipe& loaded) {
  const auto line = [](int64_t n_stages, int64_t n_tensors, uint64_t n_bytes, const std::string& folder) {
    return fmt::format("drafter     DSpark, {} stages, {} tensors, {} bytes: carried from {}, not in memory and not in checkpoints; an export copies them\n", n_stages, n_tensors, n_bytes, folder);
  };
  const auto of_folder = [&](const Drafter& d) { return line(d.n_stages(), std::ssize(d.tensors()), d.n_bytes(), d.folder().string()); };
  const std::string choice = loaded.drafter_choice();
  if (choice == kDropDrafter) return "drafter     dropped: neither MTP layers nor a DSpark drafter are kept\n";
  if (choice != kKeepDrafter) return of_folder(Drafter(choice, loaded.model_config));
  if (loaded.recipe.model.path.empty()) return "";
  const fs::path folder = loaded.resolve(loaded.recipe.model.path);
  if (fs::exists(folder / "config.json") && !fs::exists(folder / kManifestName) && !holds_weights(folder)) return "";   // only a config: nothing is known
  const std::optional<CarriedDrafter> carried = carried_by_model(loaded);
  if (!carried) return "";
  if (const auto& r = carried->record) return line(r->n_stages, r->n_tensors, r->n_bytes, r->folder);
  return of_folder(Drafter(carried->folder, loaded.model_config));
}

}  // namespace temper
