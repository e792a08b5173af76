// The kinds "config", "model" and "safetensors" of temper inspect.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "app/inspection.h"
#include "checkpoint/companions.h"
#include "checkpoint/export.h"
#include "checkpoint/model_folder_source.h"
#include "checkpoint/tensor_names.h"
#include "model/deepseek_v4/flops.h"
#include "model/deepseek_v4/parameter_table.h"

namespace temper::detail {
namespace {

struct DtypeTotal {
  int64_t n_tensors = 0, n_elements = 0, n_bytes = 0;
};
using DtypeTotals = std::map<std::string, DtypeTotal>;

DtypeTotal sum_of(const DtypeTotals& totals) {
  DtypeTotal sum;
  for (const auto& [dtype, total] : totals) {
    sum.n_tensors += total.n_tensors;
    sum.n_elements += total.n_elements;
    sum.n_bytes += total.n_bytes;
  }
  return sum;
}

void describe_totals(Inspection& out, const DtypeTotals& totals, const char* title) {
  const DtypeTotal sum = sum_of(totals);
  Json by_dtype = Json::object();
  out.text += fmt::format("{}: {} tensors, {} stored elements, {} data bytes ({})\n", title, with_commas(sum.n_tensors), with_commas(sum.n_elements),
                          with_commas(sum.n_bytes), size_text(static_cast<uint64_t>(sum.n_bytes)));
  for (const auto& [dtype, total] : totals) {
    by_dtype[dtype] = {{"tensors", total.n_tensors}, {"elements", total.n_elements}, {"bytes", total.n_bytes}};
    out.text += fmt::format("  {:<8} {:>10} tensors {:>20} elements {:>20} bytes\n", dtype, with_commas(total.n_tensors), with_commas(total.n_elements), with_commas(total.n_bytes));
  }
  out.json["tensors"] = {{"count", sum.n_tensors}, {"elements", sum.n_elements}, {"bytes", sum.n_bytes}, {"by_dtype", std::move(by_dtype)}};
}

// The keys, where there is a drafter for them.
std::optional<DsparkConfig> carried(std::optional<DsparkConfig> dspark, const Release& release) {
  return release.drafter == DrafterKind::kDspark ? dspark : std::nullopt;
}

void describe_release(Inspection& out, const Release& release) {
  out.json["release"] = release.name;
  out.json["drafter"] = drafter_kind_name(release.drafter);
  out.json["drafter_action"] = release.drafter_action;
  out.text += fmt::format("release: {}\n", release.name);
  if (release.drafter == DrafterKind::kDspark)
    out.text += fmt::format("drafter: dspark, {} stages{}: carried, that is copied byte for byte into exports, not computed and not trained\n", release.n_stages,
                            release.own_vocabulary ? " with a vocabulary of its own" : "");
  else if (release.drafter == DrafterKind::kMtp) out.text += "drafter: mtp: computed with the model\n";
  else out.text += release.leftover_keys ? "drafter: none: config.json has dspark_* keys without tensors; they are not written again\n" : "drafter: none\n";
}

// Base releases store every scale in F32, whatever scale_fmt says, and two copies of the vocabulary's tensors.
std::vector<StoredTensor> official_tensors(ModelConfig config, const std::optional<DsparkConfig>& dspark, const Release& release) {
  const bool base = release.family == ReleaseFamily::kBase;
  if (base) config.scales_are_e8m0 = false;
  if (release.drafter == DrafterKind::kDspark) return stored_tensors(config, *dspark);
  std::vector<StoredTensor> list = stored_tensors(release.drafter == DrafterKind::kNone ? without_mtp(config) : config);
  if (base && release.drafter == DrafterKind::kMtp)
    for (const char* name : {"mtp.0.emb.tok_emb.weight", "mtp.0.head.weight"}) list.push_back({.name = name, .dtype = StoredDtype::kBF16, .shape = {config.vocab_size, config.hidden_size}, .bytes = static_cast<uint64_t>(2 * config.vocab_size * config.hidden_size)});
  return list;
}

void describe_layers(Inspection& out, const ModelConfig& c) {
  const auto n_of = [&](int64_t ratio) { return std::count(c.compress_ratios.begin(), c.compress_ratios.begin() + c.n_layers, ratio); };
  out.json["layers"] = {{"total", c.n_layers}, {"window", n_of(0)}, {"csa", n_of(4)}, {"hca", n_of(128)}, {"hash_routed", c.n_hash_layers}, {"mtp", c.n_mtp_layers}};
  out.text += fmt::format("layers: {}: {} window, {} CSA, {} HCA; the first {} hash-routed; {} MTP\n", c.n_layers, n_of(0), n_of(4), n_of(128), c.n_hash_layers, c.n_mtp_layers);
  out.text += fmt::format("hidden {}, {} heads of {} ({} rotary), vocabulary {}, {} experts of {} ({} a token), {} streams, window {}\n", c.hidden_size, c.n_heads, c.head_dim,
                          c.rope_head_dim, c.vocab_size, c.n_routed_experts, c.moe_intermediate_size, c.top_k, c.hc_mult, c.sliding_window);
}

void describe_parameters(Inspection& out, const ModelConfig& config, const std::optional<DsparkConfig>& dspark) {
  const ParameterTable table = parameter_table(config);
  Json by_class = Json::object();
  out.text += "parameters (scales and tid2eid do not count):\n";
  const auto line = [&](const std::string& name, int64_t n) { out.text += fmt::format("  {:<34} {:>22}\n", name, with_commas(n)); };
  for (const auto& row : table.main) {
    by_class[parameter_class_name(row.parameter)] = row.n;
    line(parameter_class_name(row.parameter), row.n);
  }
  line("total without MTP", table.n_main);
  line("MTP", table.n_mtp);
  line("total with MTP", table.n_main + table.n_mtp);
  int64_t n_drafter = 0;
  if (dspark)
    for (const TensorRow& row : dspark_map(config, *dspark)) n_drafter += row.numel();
  if (n_drafter > 0) {
    line("DSpark drafter (carried)", n_drafter);
    line("total with the drafter", table.n_main + n_drafter);
  }
  line("a token activates", table.active);
  line("  without the embedding (for 6 N)", table.active_without_embedding);
  out.json["parameters"] = {{"by_class", std::move(by_class)}, {"without_mtp", table.n_main}, {"mtp", table.n_mtp}, {"with_mtp", table.n_main + table.n_mtp},
                            {"drafter", n_drafter}, {"active", table.active}, {"active_without_embedding", table.active_without_embedding}, {"active_with_mtp", table.active_with_mtp}};
}

void describe_flops(Inspection& out, const ModelConfig& config) {
  std::vector<int64_t> lengths;
  for (const int64_t S : {512, 4096, 32768, 131072, 1048576})
    if (S <= config.max_positions || lengths.empty()) lengths.push_back(S);
  Json list = Json::array();
  out.text += "FLOPs per token in G (one document of S tokens; 2 for a multiply-add; docs/deepseek_v4.md has the formula):\n";
  std::string header = fmt::format("  {:<34}", "S"), training = fmt::format("  {:<34}", "training"), no_mtp = fmt::format("  {:<34}", "training, no MTP, indexer frozen");
  std::vector<std::string> components;
  for (const int64_t S : lengths) {
    const FlopsPerToken flops = flops_per_token(config, {S});
    const double plain = flops_per_token(config, {S}, {.mtp = false, .indexer_trained = false}).training;
    header += fmt::format("{:>13}", with_commas(S));
    training += fmt::format("{:>13.4f}", flops.training / 1e9);
    no_mtp += fmt::format("{:>13.4f}", plain / 1e9);
    Json forward = Json::object();
    for (size_t i = 0; i < flops.components.size(); ++i) {
      if (components.size() <= i) components.push_back(fmt::format("    {:<32}", flops.components[i].name));
      components[i] += fmt::format("{:>13.4f}", flops.components[i].forward / 1e9);
      forward[flops.components[i].name] = flops.components[i].forward;
    }
    list.push_back({{"seq", S}, {"forward", flops.forward}, {"training", flops.training}, {"training_without_mtp_and_indexer", plain}, {"forward_by_component", std::move(forward)}});
  }
  std::string forward = fmt::format("  {:<34}", "forward");
  for (const Json& item : list) forward += fmt::format("{:>13.4f}", item["forward"].get<double>() / 1e9);
  out.text += header + "\n" + training + "\n" + no_mtp + "\n" + forward + "\n";
  for (const std::string& component : components) out.text += component + "\n";
  out.json["flops_per_token"] = std::move(list);
}

void add_stored(DtypeTotals& totals, const StoredTensor& tensor) {
  DtypeTotal& total = totals[std::string(stored_dtype_name(tensor.dtype))];
  ++total.n_tensors;
  total.n_elements += static_cast<int64_t>(tensor.bytes / stored_dtype_bytes(tensor.dtype));
  total.n_bytes += static_cast<int64_t>(tensor.bytes);
}

std::string spelling_of(const SafetensorsFolder& files) {
  bool prefix = false, theirs = false, released = false;
  for (const std::string& name : files.names()) {
    prefix = prefix || unwrapped_name(name) != name;
    theirs = theirs || name.find(".self_attn.") != std::string::npos;
    released = released || name.find(".attn.wq_a") != std::string::npos;
  }
  if (theirs) return released ? "a mixture of released and transformers names" : "transformers";
  return prefix ? "released names with prefixes (model., module., _orig_mod.)" : "released";
}

const char* encoding_name(Encoding encoding) {
  switch (encoding) {
    case Encoding::kPlain: return "plain";
    case Encoding::kFp8Block128: return "fp8_block128";
    case Encoding::kFp4Block32: return "fp4_block32";
    case Encoding::kNvfp4: return "nvfp4";
  }
  return "";
}

// How the model's tensors are encoded, and what was noticed when they were sorted.
void describe_storage(Inspection& out, const WeightSource& source) {
  std::map<std::string, int64_t> n_tensors;
  for (const TensorRow& row : source.rows()) ++n_tensors[encoding_name(source.encoding(row))];
  out.json["encodings"] = n_tensors;
  out.json["notes"] = source.notes();
  out.text += "encodings:";
  for (const auto& [name, n] : n_tensors) out.text += fmt::format(" {} {}", name, n);
  out.text += "\n";
  for (const std::string& note : source.notes()) out.text += fmt::format("note: {}\n", note);
}

void describe_health(Inspection& out, const ModelFolderSource& source, bool read_values) {
  if (const size_t n = source.files().n_header_only(); n > 0) {
    out.json["health"] = {{"values_read", false}, {"header_only_files", n}};
    out.text += fmt::format("health: names, shapes and types are right; {} of {} files end with their header, so values cannot be read\n", n, source.files().n_files());
    return;
  }
  if (!read_values && source.files().data_bytes() > kAlwaysReadBytes) {
    out.json["health"] = {{"values_read", false}};
    out.text += "health: names, shapes and types are right; values were not read (--values reads them)\n";
    return;
  }
  const std::vector<std::string> bad = tensors_that_are_not_finite(source);
  out.json["health"] = {{"values_read", true}, {"not_finite", bad}};
  out.text += bad.empty() ? "health: names, shapes and types are right; all values are finite\n"
                          : fmt::format("health: {} tensors have values that are not finite: {}\n", bad.size(), some_names(bad));
}

void describe_transformers(Inspection& out, const ModelConfig& config) {
  const std::vector<std::string> obstacles = transformers_obstacles(config);
  out.json["transformers_obstacles"] = obstacles;
  for (const std::string& obstacle : obstacles) out.text += fmt::format("transformers would not read it: {}\n", obstacle);
}

}  // namespace

Inspection inspect_config(const fs::path& path) {
  const ModelConfig config = read_model_config(path);
  const std::optional<DsparkConfig> dspark = read_dspark_config(path, config);
  const Release release = recognise_release(config, dspark, path.string());
  Inspection out{.json = {{"kind", "config"}, {"path", path.string()}}, .text = fmt::format("DeepSeek-V4 model config {}\n", path.string())};
  describe_release(out, release);
  describe_layers(out, config);
  DtypeTotals totals;
  for (const StoredTensor& tensor : official_tensors(config, dspark, release)) add_stored(totals, tensor);
  describe_totals(out, totals, "official files of it");
  describe_parameters(out, config, carried(dspark, release));
  describe_flops(out, config);
  describe_transformers(out, config);
  return out;
}

namespace {

// The index is there, and none of the files it names.
bool is_index_alone(const fs::path& folder) {
  if (!fs::is_regular_file(folder / kIndexName)) return false;
  const SafetensorsIndex index = read_index(folder / kIndexName);
  return std::ranges::none_of(index.shard_of, [&](const auto& item) { return fs::exists(folder / item.second); });
}

// Names are those of the index; dtypes and shapes those that the config gives such names.
void describe_index(Inspection& out, const SafetensorsIndex& index, const ModelConfig& config, const std::optional<DsparkConfig>& dspark, const Release& release) {
  std::map<std::string, StoredTensor> official;
  for (StoredTensor& tensor : official_tensors(config, dspark, release)) official.emplace(tensor.name, std::move(tensor));
  DtypeTotals totals;
  std::vector<std::string> unknown;
  for (const auto& [name, shard] : index.shard_of) {
    if (const auto found = official.find(unwrapped_name(name)); found != official.end()) add_stored(totals, found->second);
    else unknown.push_back(name);
  }
  const DtypeTotal sum = sum_of(totals);
  const bool complete = unknown.empty() && sum.n_tensors == static_cast<int64_t>(official.size());
  if (complete) describe_totals(out, totals, "by the index and the config");
  out.json["tensors"]["count"] = index.shard_of.size();
  if (!complete) out.text += fmt::format("by the index: {} tensors; the release of this config has {}\n", with_commas(static_cast<int64_t>(index.shard_of.size())), with_commas(static_cast<int64_t>(official.size())));
  if (!unknown.empty()) {
    out.json["tensors"]["unknown"] = {{"count", unknown.size()}, {"first", unknown.front()}};
    out.text += fmt::format("  {} names are not of that release, the first is {}\n", with_commas(static_cast<int64_t>(unknown.size())), unknown.front());
  }
  if (!index.total_bytes) return;
  const auto n_bytes = static_cast<int64_t>(*index.total_bytes);
  out.json["tensors"]["bytes"] = n_bytes;
  out.text += fmt::format("by the index's metadata: {} data bytes ({}){}\n", with_commas(n_bytes), size_text(*index.total_bytes),
                          complete && n_bytes != sum.n_bytes ? ", which is not what the config gives" : "");
}

Inspection inspect_index(const fs::path& folder) {
  const ModelConfig config = read_model_config(folder);
  const SafetensorsIndex index = read_index(folder / kIndexName);
  std::vector<TensorHead> names;
  for (const auto& [name, shard] : index.shard_of) names.push_back({unwrapped_name(name), "", {}});
  const std::optional<DsparkConfig> dspark = read_dspark_config(folder, config);
  const Release release = recognise_release(config, dspark, names, folder.string());
  Inspection out{.json = {{"kind", "model"}, {"path", folder.string()}}, .text = fmt::format("DeepSeek-V4 model folder {} (index without files)\n", folder.string())};
  describe_release(out, release);
  describe_layers(out, config);
  describe_index(out, index, config, dspark, release);
  out.json["health"] = {{"values_read", false}, {"files", false}};
  out.text += "health: the files that the index names are not here\n";
  describe_parameters(out, config, carried(dspark, release));
  describe_flops(out, config);
  describe_transformers(out, config);
  return out;
}

}  // namespace

Inspection inspect_model(const fs::path& folder, bool read_values) {
  if (is_index_alone(folder)) return inspect_index(folder);
  const ModelFolderSource source(folder, Contents::kAtLeastHeaders);
  Inspection out{.json = {{"kind", "model"}, {"path", folder.string()}}, .text = fmt::format("DeepSeek-V4 model folder {}\n", folder.string())};
  describe_release(out, source.release());
  describe_layers(out, source.config());
  DtypeTotals totals;
  for (const std::string& name : source.files().names()) add_stored(totals, *source.files().entry(name).stored);
  describe_totals(out, totals, fmt::format("{} files", source.files().n_files()).c_str());
  const std::string spelling = spelling_of(source.files());
  const bool tokenizer = fs::exists(folder / "tokenizer.json") || fs::exists(folder / "vocab.json");
  for (const std::string& name : companions_of(folder)) read_companion(folder, name);   // refuses what a download left in their place
  out.json["spelling"] = spelling;
  out.json["mtp_missing"] = source.mtp_missing();
  out.json["tokenizer"] = tokenizer;
  out.text += fmt::format("names: {}\n", spelling);
  if (source.mtp_missing()) out.text += "MTP: the config has it, the files do not (as checkpoints of transformers)\n";
  out.text += tokenizer ? "tokenizer: there\n" : "tokenizer: none in this folder\n";
  describe_storage(out, source);
  describe_health(out, source, read_values);
  describe_parameters(out, source.config(), carried(read_dspark_config(folder, source.config()), source.release()));
  describe_flops(out, source.config());
  describe_transformers(out, source.config());
  return out;
}

Inspection inspect_safetensors(const fs::path& file) {
  const SafetensorsFile opened(file, Contents::kAtLeastHeaders);
  Inspection out{.json = {{"kind", "safetensors"}, {"path", file.string()}}, .text = fmt::format("safetensors file {}\n", file.string())};
  DtypeTotals totals;
  Json list = Json::array();
  for (const StoredTensor& tensor : opened.tensors()) add_stored(totals, tensor);
  describe_totals(out, totals, "in it");
  for (const StoredTensor& tensor : opened.tensors()) {
    list.push_back({{"name", tensor.name}, {"dtype", std::string(stored_dtype_name(tensor.dtype))}, {"shape", tensor.shape}});
    if (list.size() <= 40) out.text += fmt::format("  {:<8} {:<20} {}\n", stored_dtype_name(tensor.dtype), fmt::format("[{}]", fmt::join(tensor.shape, ", ")), tensor.name);
  }
  if (list.size() > 40) out.text += fmt::format("  ... {} more (--json has all)\n", list.size() - 40);
  out.json["list"] = std::move(list);
  return out;
}

}  // namespace temper::detail
