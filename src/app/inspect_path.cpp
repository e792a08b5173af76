// Which kind of thing a path is, and the kinds "checkpoint" and "run" of temper inspect.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "app/inspection.h"
#include "base/error.h"
#include "base/json_checks.h"
#include "checkpoint/drafter.h"
#include "checkpoint/training_checkpoint.h"
#include "checkpoint/weight_source.h"
#include "data/data_config.h"
#include "data/row_format.h"
#include "data/file_kind.h"
#include "data/text_reader.h"

namespace temper {
namespace detail {

std::string with_commas(int64_t n) {
  std::string digits = std::to_string(n);
  for (int64_t i = static_cast<int64_t>(digits.size()) - 3; i > (n < 0 ? 1 : 0); i -= 3) digits.insert(static_cast<size_t>(i), ",");
  return digits;
}

std::string size_text(uint64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double size = static_cast<double>(bytes);
  size_t unit = 0;
  while (size >= 1024 && unit < 4) size /= 1024, ++unit;
  return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{:.2f} {}", size, kUnits[unit]);
}

std::string some_names(const std::vector<std::string>& names) {
  constexpr size_t kShown = 20;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i) text += (i ? ", " : "") + names[i];
  return names.size() > kShown ? text + ", ..." : text;
}

Inspection inspect_checkpoint(const fs::path& folder, bool read_values) {
  const TrainingCheckpoint checkpoint(folder);
  const Manifest& manifest = checkpoint.manifest();
  struct Group {
    int64_t n_tensors = 0;
    uint64_t n_bytes = 0;
  };
  std::map<std::string, Group> groups;   // "weights", "adamw_m", ...
  uint64_t total = 0;
  size_t n_pieces = 0;
  for (const ManifestTensor& tensor : manifest.tensors) {
    const size_t slash = tensor.name.find('/');
    Group& group = groups[slash == std::string::npos ? tensor.name : tensor.name.substr(0, slash)];
    ++group.n_tensors;
    n_pieces += tensor.pieces.size();
    for (const ManifestPiece& piece : tensor.pieces) group.n_bytes += piece.bytes, total += piece.bytes;
  }
  Inspection out{.json = {{"kind", "checkpoint"}, {"path", folder.string()}, {"step", manifest.step}, {"seed", manifest.seed}, {"mesh", manifest.mesh},
                          {"data_position", manifest.data_position}, {"state", manifest.state}, {"bytes", total}},
                 .text = fmt::format("training checkpoint {}\nstep {}, seed {}, mesh {}\n", folder.string(), manifest.step, manifest.seed, manifest.mesh.dump())};
  out.text += fmt::format("{} tensors in {} pieces, {}\n", manifest.tensors.size(), n_pieces, size_text(total));
  for (const auto& [name, group] : groups) {
    out.json["groups"][name] = {{"tensors", group.n_tensors}, {"bytes", group.n_bytes}};
    out.text += fmt::format("  {:<24} {:>8} tensors {:>14}\n", name, group.n_tensors, size_text(group.n_bytes));
  }
  for (const ManifestFile& file : manifest.files) {
    out.json["files"].push_back({{"name", file.name}, {"bytes", file.bytes}});
    out.text += fmt::format("  {:<24} {:>31}\n", file.name, size_text(file.bytes));
  }
  out.json["carried"] = manifest.carried;
  for (const Json& part : manifest.carried) {
    const DrafterRecord record = drafter_record_from_json(part, folder.string());
    out.text += fmt::format("drafter: dspark, {} stages, {} tensors, {}: carried from {}, not in this checkpoint\n", record.n_stages, record.n_tensors, size_text(record.n_bytes), record.folder);
  }
  out.text += fmt::format("data position: {}\n", manifest.data_position.dump());
  const bool read = read_values || total <= kAlwaysReadBytes;
  if (checkpoint.has_file("config.json")) {
    const std::unique_ptr<WeightSource> weights = open_weights(folder);   // throws if the weights are not those of config.json
    for (const TensorRow& row : weights->rows())
      if (read && row.holds_ids()) weights->for_each_part(row, [](int64_t, const Tensor&) {});   // throws at an id that the model does not have
  }
  if (read) checkpoint.verify();   // throws at the first wrong digest
  const std::vector<std::string> bad = read ? tensors_that_are_not_finite(checkpoint) : std::vector<std::string>();
  out.json["digests_checked"] = read;
  out.json["health"] = {{"values_read", read}, {"not_finite", bad}};
  if (!read) out.text += "health: complete; digests and values were not checked (--values checks them)\n";
  else if (bad.empty()) out.text += "health: complete; every digest is right, all values are finite\n";
  else out.text += fmt::format("health: complete; every digest is right; {} tensors have values that are not finite, the first is {}\n", bad.size(), bad.front());
  return out;
}

namespace {

// The last complete line of a JSONL file, parsed; null if there is none.
Json last_line(const fs::path& file, int64_t& n_lines) {
  Json last;
  n_lines = 0;
  if (!fs::is_regular_file(file)) return last;
  LineReader lines(file, int64_t{16} << 20);
  for (TextPiece piece; lines.next_filled(piece);) {
    ++n_lines;
    if (std::optional<Json> json = try_parse_json(piece.text)) last = *std::move(json);
  }
  return last;
}

}  // namespace

Inspection inspect_run(const fs::path& folder) {
  Inspection out{.json = {{"kind", "run"}, {"path", folder.string()}}, .text = fmt::format("run folder {}\n", folder.string())};
  int64_t n_metrics = 0, n_events = 0;
  const Json metrics = last_line(folder / "metrics.jsonl", n_metrics), event = last_line(folder / "events.jsonl", n_events);
  out.json["metrics"] = {{"rows", n_metrics}, {"last", metrics}};
  out.json["events"] = {{"rows", n_events}, {"last", event}};
  out.text += fmt::format("metrics: {} rows{}\n", n_metrics, metrics.is_null() ? "" : ", the last: " + metrics.dump().substr(0, 300));
  out.text += fmt::format("events: {} rows{}\n", n_events, event.is_null() ? "" : ", the last: " + event.dump().substr(0, 300));
  Json names = Json::array();
  for (const fs::path& path : list_checkpoints(folder / "checkpoints")) names.push_back(path.filename().string());
  out.text += names.empty() ? "checkpoints: none\n" : fmt::format("checkpoints: {}, the latest {}\n", names.size(), names.back().get<std::string>());
  out.json["checkpoints"] = std::move(names);
  for (const char* file : {"resolved.toml", "environment.json", "report.html"}) {
    out.json["files"][file] = fs::exists(folder / file);
    if (fs::exists(folder / file)) out.text += fmt::format("{}: there\n", file);
  }
  return out;
}

}  // namespace detail

namespace {

/// JSONL, JSON lists and plain text, each also packed.  A .json file is data unless it is one object that is not a row.
bool is_data_file(const fs::path& path) {
  const fs::path inner = path.extension() == ".gz" || path.extension() == ".zst" ? path.stem() : path.filename();
  const std::string ending = inner.extension().string();
  if (ending != ".json") return ending == ".jsonl" || ending == ".ndjson" || ending == ".txt";
  if (inner != path.filename()) return true;   // configs are not packed
  LineReader lines(path, DataConfig().max_line_bytes);
  TextPiece first;
  if (!lines.next_filled(first)) return false;
  if (!first.defect.empty() || first.text[first.text.find_first_not_of(" \t")] == '[') return true;
  const Json row = try_parse_json(first.text).value_or(Json());
  if (!row.is_object()) return false;   // the first line of a config
  TextPiece second;
  if (lines.next_filled(second)) return true;
  try {
    detect_row_format(row);
    return true;
  } catch (const BadRow&) {
    return false;
  }
}

}  // namespace

Inspection inspect_path(const fs::path& path, bool read_values, const DataView& data) {
  const std::string name = path.filename().string();
  if (fs::is_directory(path)) {
    if (fs::exists(path / kManifestName)) return detail::inspect_checkpoint(path, read_values);
    if (fs::exists(path / "metrics.jsonl") || fs::exists(path / "checkpoints") || fs::exists(path / "resolved.toml")) return detail::inspect_run(path);
    const auto holds = [&](const char* ending) {
      return std::any_of(fs::directory_iterator(path), fs::directory_iterator(), [&](const auto& item) { return item.path().filename().string().ends_with(ending); });
    };
    const bool other_weights = std::any_of(fs::directory_iterator(path), fs::directory_iterator(), [](const auto& item) { return is_other_weights_file(item.path().filename().string()); });
    if (holds(".safetensors") || holds(".safetensors.index.json") || other_weights) return detail::inspect_model(path, read_values);
    if (fs::exists(path / "config.json")) return detail::inspect_config(path / "config.json");
  } else if (fs::exists(path)) {
    if (name.ends_with(".safetensors")) return detail::inspect_safetensors(path);
    if (is_data_file(path)) return detail::inspect_data(path, data);
    if (name.ends_with(".json")) return detail::inspect_config(path);
    if (fs::is_regular_file(path)) {   // tables and archives are named, with the command that converts them
      refuse_table(path);
      open_bytes(path);
    }
  }
  throw Error({.kind = ErrorKind::kData,
               .what = fs::exists(path) ? "this is not a model, config, checkpoint, run folder or data file" : "there is no such file or folder",
               .where = path.string(),
               .fix = "give a folder with config.json or manifest.json, a run folder, or a .safetensors, .json, .jsonl or .txt file (data also as .gz or .zst)"});
}

}  // namespace temper
